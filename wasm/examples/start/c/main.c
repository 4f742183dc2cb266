/* A hook proposes changes to the environment of a backend. It is an ordinary
 * program: it reads one JSON object from standard input, writes one to standard
 * output, and ends with status 0. It can open no files and no sockets.
 *
 * Build it (Debian: clang lld wasi-libc libclang-rt-dev-wasm32) and print the
 * digest that pins it in a definition:
 *
 *	clang --target=wasm32-wasi -Os -s -Wall -o hook.wasm main.c
 *	spawnward hook check hook.wasm
 *
 * Try it:
 *
 *	spawnward hook run hook.wasm < input.json
 */
#include "json.h"

int main(void) {
	char label[256], service[256], zone[256];
	const char *input = json_input();

	/* There is more: version, instance, binary.path, binary.sha256, args, env. */
	if (!input || !json_text(input, "service", service, 128)) {
		/* Any other status than 0 denies the launch, and standard error is shown. */
		fputs("the input names no service\n", stderr);
		return 1;
	}
	/* Reject by a label. The code has lower-case letters, digits and _. */
	if (json_text(input, "labels.maintenance", label, sizeof label) && strcmp(label, "yes") == 0) {
		fputs("{\"v\":1,\"reject\":{\"code\":\"maintenance\",\"message\":", stdout);
		json_write(strcat(service, " is under maintenance"));
		fputs("}}\n", stdout);
		return 0;
	}
	/* Set a variable from the configuration in the definition. */
	if (json_text(input, "config.zone", zone, sizeof zone) && zone[0]) {
		fputs("{\"v\":1,\"set\":{\"APP_REGION\":", stdout);
		json_write(zone);
		fputs("}}\n", stdout);
	} else {
		fputs("{\"v\":1,\"warnings\":[\"config.zone is empty; the region is not set\"]}\n", stdout);
	}
	return 0;
}
