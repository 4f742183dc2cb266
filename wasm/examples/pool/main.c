/* pool picks APP_POOL by the label team of the definition, and takes APP_DEBUG
 * away: config: {pools: {payments: large, default: small}} */
#include "json.h"

int main(void) {
	char team[128], path[256] = "config.pools.", pool[256];
	const char *input = json_input();
	int known = 0;
	if (!input) return 1;
	/* A dot would lead elsewhere in the configuration. */
	if (json_text(input, "labels.team", team, sizeof team) && !strchr(team, '.'))
		known = json_text(input, strcat(path, team), pool, sizeof pool);
	if (!known && !json_text(input, "config.pools.default", pool, sizeof pool)) {
		fputs("config.pools has neither the team nor default\n", stderr);
		return 1;
	}
	fputs("{\"v\":1,\"set\":{\"APP_POOL\":", stdout);
	json_write(pool);
	fputs("},\"unset\":[\"APP_DEBUG\"]", stdout);
	if (!known) fputs(",\"warnings\":[\"the team has no pool of its own\"]", stdout);
	fputs("}\n", stdout);
	return 0;
}
