/* resident FILE COMMAND ARG...: runs the command and writes the most memory
   that it kept, in KiB, to the file. A program's own figure would count what its
   parent kept at the fork, and this parent keeps next to nothing. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
	struct rusage used;
	int status = 0;
	FILE *out;
	pid_t child;
	if (argc < 3 || (child = fork()) < 0)
		return 125;
	if (child == 0) {
		execv(argv[2], argv + 2);
		_exit(126);
	}
	if (wait4(child, &status, 0, &used) < 0 || (out = fopen(argv[1], "w")) == NULL)
		return 125;
	fprintf(out, "%ld\n", used.ru_maxrss);
	return fclose(out) == 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
