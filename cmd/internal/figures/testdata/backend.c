/* Binds at once and accepts: the fastest backend that the peer probe can meet.
   With an argument it ends at once: the control. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	char *path = getenv("RUNNING_PROCESS_BROKER_V1_BACKEND_PIPE");
	(void)argv;
	if (argc > 1)
		return 0;
	if (path == NULL || strlen(path) >= sizeof at.sun_path)
		return 1;
	strcpy(at.sun_path, path);
	if (bind(s, (struct sockaddr *)&at, sizeof at) != 0 || listen(s, 16) != 0)
		return 1;
	for (;;)
		close(accept(s, NULL, NULL));
}
