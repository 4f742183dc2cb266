// A hook proposes changes to the environment of a backend. It is an ordinary
// program: it reads one JSON object from standard input, writes one to standard
// output, and ends with status 0. It can open no files and no sockets.
//
// Build it and print the digest that pins it in a definition:
//
//	npm install --save-exact assemblyscript
//	npx asc hook.ts -o hook.wasm -O --runtime stub --exportStart _start --use abort=hook/abort
//	spawnward hook check hook.wasm
//
// Try it:
//
//	spawnward hook run hook.wasm < input.json
import { quote, text } from "./json";
import { exit, read, write } from "./wasi";

// What the compiler calls when the program breaks its own rules.
function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  exit(1);
}

function decide(input: string, service: string): string {
  // Reject by a label. The code has lower-case letters, digits and _.
  if (text(input, ["labels", "maintenance"]) == "yes") {
    return '{"v":1,"reject":{"code":"maintenance","message":' + quote(service + " is under maintenance") + "}}";
  }
  // Set a variable from the configuration in the definition.
  const zone = text(input, ["config", "zone"]);
  if (zone === null || zone.length == 0) {
    return '{"v":1,"warnings":["config.zone is empty; the region is not set"]}';
  }
  return '{"v":1,"set":{"APP_REGION":' + quote(zone) + "}}";
}

// There is more: version, instance, binary.path, binary.sha256, args, env.
const input = read(0);
const service = text(input, ["service"]);
if (service === null) {
  // Any other status than 0 denies the launch, and standard error is shown.
  write(2, "the input names no service\n");
  exit(1);
} else {
  write(1, decide(input, service as string) + "\n");
}
