#!/bin/sh
# From nothing to a secured mesh of three nodes on this machine, and the proof that it is one.
#
#     01-secure-bootstrap.sh [--dir DIR] [--base-port PORT] [--stop]
#     01-secure-bootstrap.sh --clean [--dir DIR]
#
# Read it once before you run it: the steps are those of docs/production.md, in the same order, and on three machines
# they are the same commands, without --data-dir and each on its own machine. It takes about a minute, asks nothing,
# listens on loopback only (PORT to PORT+5) and writes into DIR alone (./secure-mesh).
#
# It leaves the mesh running. --stop stops it at the end and keeps its data; --clean stops it and removes DIR.
#
# Law: any step that fails ends the script with a code other than 0, and what it started is stopped.
set -eu
umask 077

dir=secure-mesh base=9300 clean='' stop=''
while [ $# -gt 0 ]; do
  case $1 in
    --dir) dir=$2; shift ;;
    --base-port) base=$2; shift ;;
    --clean) clean=yes ;;
    --stop) stop=yes ;;
    *) echo "$0: unknown option $1; the head of the file names them all" >&2; exit 2 ;;
  esac
  shift
done

nodes='node-1 node-2 node-3'
say() { printf '\n== %s\n' "$*"; }
fail() { echo "$0: $*" >&2; exit 1; }

# Nobody's node but ours: targets, keys and ports are always said.
unset MNEMESH_DATA_DIR MNEMESH_KEY_DIR MNEMESH_CONFIG MNEMESH_AGENT_ID MNEMESH_PORT MNEMESH_HOST
on() { node=$1; shift; mnemesh "$@" --data-dir "$dir/$node"; }
# Words of success are left out where they only repeat the step; those of an error never.
quietly() { said=$("$@" 2>&1) || fail "$* said: $said"; }
stop_all() { for node in $nodes; do on "$node" stop > /dev/null || true; done; }

if [ -n "$clean" ]; then
  # The mark keeps a mistyped --dir from costing you a folder that this script did not make.
  [ -e "$dir/.secure-bootstrap" ] || fail "$dir was not made by this script; nothing was removed"
  stop_all
  rm -rf "$dir"
  echo "removed $dir"
  exit 0
fi
command -v mnemesh > /dev/null || fail "mnemesh is not in the path; see docs/runbooks/install.md"
[ ! -e "$dir" ] || fail "$dir is there already; run with --clean first, or name another --dir"
mkdir "$dir"
touch "$dir/.secure-bootstrap"
ended() {
  code=$?
  if [ "$code" != 0 ]; then
    echo "stopping what was started; the logs are $dir/node-*/node.log" >&2
    stop_all
  fi
  exit "$code"
}
trap ended EXIT
trap 'exit 130' INT TERM

# Again and again for a minute, for what comes about by itself. No answer is thrown away at the last try.
eventually() {
  tries=0
  until "$@" > /dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { "$@" || true; fail "did not come about: $*"; }
    sleep 1
  done
}

say "1. An identity for each node"
# A signing key, a certificate that the node signed itself, an API key for its operator. Private files are 0600; a node
# refuses to start when they are not. `ann` is the first administrator: named as the mesh is founded, so that there are
# no first days in which everybody with the key of a node may set policies.
number=0
for node in $nodes; do
  founder=''
  [ "$node" != node-1 ] || founder='--admin ann'
  # Two words, or none.
  # shellcheck disable=SC2086
  quietly on "$node" init --name "$node" --advertise "https://127.0.0.1:$((base + 2 * number))" $founder
  # Peers come by TLS with an allowlisted certificate; agents on the machine by plain HTTP on loopback, with a key.
  # On a machine of its own `host` is the address that peers reach, or 0.0.0.0.
  awk -v peers="$((base + 2 * number))" -v agents="$((base + 2 * number + 1))" '
    { print }
    $0 == "[listen]" { printf "host = \"127.0.0.1\"\nport = %d\nagent_listen = \"127.0.0.1:%d\"\n", peers, agents }
  ' "$dir/$node/config.toml" > "$dir/new"
  # The default, said aloud: verdicts of policies are obeyed. `advisory` is for trying rules before they bite.
  printf '\n[permissions]\nmode = "enforce"\n' >> "$dir/new"
  mv "$dir/new" "$dir/$node/config.toml"
  # What a start would refuse is told before anything is started.
  mnemesh config check --data-dir "$dir/$node"
  number=$((number + 1))
done

say "2. Who may connect: an allowlist on each node"
# One SHA-256 fingerprint a line, and nobody else gets through the handshake. Between machines, tell each other the
# fingerprints by a way that you trust; nothing else has to be secret or prepared.
for node in $nodes; do
  for other in $nodes; do
    [ "$node" = "$other" ] || quietly on "$node" node allow "$(on "$other" node fingerprint)" --name "$other"
  done
  echo "$node knows $(grep -c node- "$dir/$node/keys/allowlist") others"
done

say "3. The first node founds the mesh, the others join it"
# A join sends nothing before the sponsor has shown the very certificate that is named here.
quietly on node-1 serve --detach
eventually on node-1 status --ready
for node in node-2 node-3; do
  quietly on "$node" node join "https://127.0.0.1:$base" --fingerprint "$(on node-1 node fingerprint)"
  quietly on "$node" serve --detach
  eventually on "$node" status --ready
done
# N = 3 and W = 2: every confirmed write is on two disks, and any one node may be away.
all_see_three() { for node in $nodes; do on "$node" node list | grep -q '3 members' || return 1; done; }
eventually all_see_three
on node-1 node list

say "4. Administrators with keys of their own"
# A name is a claim until a key is bound to it. From then on each change in that name has to be signed, so the key of a
# node is not enough to speak as ann. Her private key lies where she works: here on node-1. A second administrator,
# before you depend on the first one.
for admin in ann ben; do
  quietly on node-1 identity generate --agent-id "$admin"
  quietly on node-1 identity export-pub --agent-id "$admin" --out "$dir/$admin.pub"
done
on node-1 agent register --agent-id ann --type human --pub "$dir/ann.pub"
on node-1 agent role ben system-admin --agent-id ann
on node-1 agent register --agent-id ben --type human --pub "$dir/ben.pub"

say "5. Rules for one namespace"
# Registered agents write below `team`; what is deleted there waits until a human other than the one who asked agrees.
on node-1 namespace set-standard --namespace team --agent-id ann \
  --governance '{"write": "registered", "delete": "approve", "approver": "human"}'
on node-1 agent register --agent-id ai:scribe --type ai:scribe --as ann
rules_are_on() { on "$1" namespace get-standard --namespace team --inherit | grep -q 'delete approve'; }
scribe_is_on() { on "$1" agent list | grep -q ai:scribe; }
for node in $nodes; do eventually rules_are_on "$node"; eventually scribe_is_on "$node"; done

say "6. API keys: to each its least role"
# The key that `init` made opens everything, and stays with the operator. A key is kept as a hash, and shown once or
# written to a file. What it admits to is what both it and the role of its agent allow.
quietly on node-2 key create --role agent-writer --agent-id ai:scribe --namespace team --expires-days 90 \
  --name scribe --out "$dir/scribe.key"
quietly on node-2 key create --role agent-reader --expires-days 90 --name dashboard --out "$dir/dashboard.key"
# One key reads the metrics of all nodes, and nothing else: drawn on one, made known to the others.
quietly on node-1 key create --role metrics --name prometheus --out "$dir/metrics.key"
for node in node-2 node-3; do
  quietly on "$node" key create --role metrics --name prometheus --from "$dir/metrics.key"
done
on node-2 key list

say "7. Does it hold?"
# Keys, on the listener for agents. `curl -H @FILE` keeps a key off the command line, where every user could read it.
if command -v curl > /dev/null; then
  answer() {  # PORT KEY-FILE PATH [BODY]: the status alone
    printf 'x-api-key: %s\n' "$(cat "$2")" > "$dir/header"
    curl -s -o "$dir/answer" -w '%{http_code}' -H @"$dir/header" ${4:+-d "$4"} "http://127.0.0.1:$1$3"
  }
  memory='{"title": "Shed", "content": "Paint it green.", "namespace": "team/garden", "id": "shed"}'
  elsewhere='{"title": "Shed", "content": "Paint it green.", "namespace": "other"}'
  expect() { [ "$2" = "$3" ] || fail "$1 was answered with $2, not $3: $(cat "$dir/answer")"; echo "$1: $2"; }
  expect 'the scribe writes in its namespace' "$(answer $((base + 3)) "$dir/scribe.key" /api/v1/memories "$memory")" 201
  expect 'the scribe writes elsewhere' "$(answer $((base + 3)) "$dir/scribe.key" /api/v1/memories "$elsewhere")" 403
  expect 'the dashboard writes' "$(answer $((base + 3)) "$dir/dashboard.key" /api/v1/memories "$memory")" 403
  expect 'the metrics key reads metrics' "$(answer $((base + 5)) "$dir/metrics.key" /metrics)" 200
  expect 'the metrics key reads memories' "$(answer $((base + 5)) "$dir/metrics.key" /api/v1/memories)" 403
  : > "$dir/none"
  expect 'nobody, without a key, reads memories' "$(answer $((base + 3)) "$dir/none" /api/v1/memories)" 401
  rm -f "$dir/header" "$dir/none" "$dir/answer"
else
  echo "curl is not installed: the keys were not tried"
  on node-2 store Shed "Paint it green." --namespace team/garden --id shed --agent-id ai:scribe > /dev/null
fi
# Names: on a node where ann's key does not lie, nobody is ann.
if on node-3 store Forged "Not by ann." --namespace team --agent-id ann 2> /dev/null; then
  fail "a name was used without its key"
fi
echo "ann, without her key: refused"
# Policies: an agent that nobody registered writes nothing below `team`.
if on node-3 store Stray "By nobody." --namespace team --agent-id ai:stray 2> /dev/null; then
  fail "the policy of team does not bind"
fi
echo "an agent that nobody registered: refused"
eventually on node-3 get shed
echo "what was written on node-2 is on node-3"

say "8. Backups, and keys kept apart from them"
# One timer a machine does this every hour (deploy/systemd). Backups hold no private key; a node without its key comes
# back as another node, so keys are kept too: encrypted, and neither they nor the passphrase on the disk of the node.
printf '%s\n' "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" > "$dir/passphrase"
for node in $nodes; do
  quietly on "$node" backup --to "$dir/backups/$node" --keep 48
  mnemesh backup verify --from "$dir/backups/$node"
  quietly on "$node" identity backup --to "$dir/$node.keys" --passphrase-file "$dir/passphrase"
done
# A backup that was never restored is a hope: restore one into a folder that is thrown away.
on node-1 backup drill --from "$dir/backups/node-1"

say "9. Nothing left to do?"
# Signatures and chains of everything in the log, and of the events that led here.
for node in $nodes; do on "$node" verify; done
# The doctor is silent, and ends with 0, when no member has anything to say. Countersignatures of the chain of events
# come within a minute.
for node in $nodes; do eventually on "$node" doctor; done
for node in $nodes; do on "$node" doctor && echo "$node: the doctor is silent"; done

if [ -n "$stop" ]; then
  stop_all
  say "Done. The mesh is stopped; its data is in $dir"
else
  say "Done. The mesh runs; agents reach it at http://127.0.0.1:$((base + 1)). To end it: $0 --clean --dir $dir"
fi
