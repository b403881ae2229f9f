#!/usr/bin/env bash
# The interop tests as an ordinary user, each inside `unshare -Urn`. Called by root they run as `nobody`, from a
# directory that nobody may read and write; called by an ordinary user, as that user.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "$(id -u)" -ne 0 ]; then
    exec cargo test --package causeway-interop --tests
fi

work=$(mktemp -d /tmp/causeway-unprivileged.XXXXXX)
trap 'rm -rf "$work"' EXIT
chmod 0755 "$work"
mkdir -m 0777 "$work/tmp"

mapfile -t built < <(cargo run --quiet --package causeway-interop --bin artifacts)
cp "${built[0]}" "$work/causeway"
cp -r "${built[1]}" "$work/programs"
cargo test --quiet --package causeway-interop --tests --no-run --message-format=json |
    python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("profile", {}).get("test") and message.get("executable") and "test" in message["target"]["kind"]:
        print(message["executable"])
' >"$work/tests"
[ -s "$work/tests" ] || { echo "unprivileged.sh: no test program was built" >&2; exit 1; }
mkdir "$work/bin"
while read -r program; do cp "$program" "$work/bin/"; done <"$work/tests"
chmod -R a+rX "$work/bin" "$work/programs" "$work/causeway"

for program in "$work"/bin/*; do
    setpriv --reuid=65534 --regid=65534 --clear-groups \
        env -u XDG_RUNTIME_DIR TMPDIR="$work/tmp" HOME="$work/tmp" \
        CAUSEWAY_INTEROP_BINARY="$work/causeway" CAUSEWAY_INTEROP_PROGRAMS="$work/programs" \
        "$program"
done
