/* region sets APP_REGION from its configuration: config: {zone: eu} */
#include "json.h"

int main(void) {
	char zone[256];
	const char *input = json_input();
	if (!input || !json_text(input, "config.zone", zone, sizeof zone) || !zone[0]) {
		fputs("config.zone is missing\n", stderr);
		return 1; /* a hook that fails denies the launch */
	}
	fputs("{\"v\":1,\"set\":{\"APP_REGION\":", stdout);
	json_write(zone);
	fputs("}}\n", stdout);
	return 0;
}
