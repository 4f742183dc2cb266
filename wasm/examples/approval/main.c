/* approval rejects a version that the label approved of the definition does not
 * name: labels: {approved: 7.0.15} */
#include "json.h"

int main(void) {
	char version[128], approved[128] = "", message[384];
	const char *input = json_input();
	if (!input || !json_text(input, "version", version, sizeof version)) return 1;
	json_text(input, "labels.approved", approved, sizeof approved);
	if (strcmp(version, approved) == 0) {
		fputs("{\"v\":1}\n", stdout);
		return 0;
	}
	strcpy(message, "version ");
	strcat(message, version);
	strcat(message, " is not the approved one");
	fputs("{\"v\":1,\"reject\":{\"code\":\"not_approved\",\"message\":", stdout);
	json_write(message);
	fputs("}}\n", stdout);
	return 0;
}
