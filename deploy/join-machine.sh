#!/bin/sh
# Make this machine a node of a mesh, as a systemd service. As root, as often as you like: what is done already
# stays as it is.
#
#     join-machine.sh --wheel dist/mnemesh-*.whl --lock requirements.lock --name node-b \
#         --advertise https://node-b.example:9077 [--join https://node-a.example:9077 --fingerprint HEX] \
#         [--allow PIN=node-a]... [--admin AGENT]
#
# Without --join it founds a mesh. With it, the sponsor has to allow this machine first: the first run ends by
# printing the fingerprint to be allowed there, and the next run joins.
#
#     --root DIR        install below DIR and start nothing, to look at what it would do or to make an image
#     --python PYTHON   3.11 or newer; python3 when left out
set -euf
umask 022

root='' python=python3 wheel='' lock='' name='' advertise='' sponsor='' fingerprint='' allowed='' admin=''
plain() {
  case $2 in '' | *[!A-Za-z0-9._:=+/-]*)
    echo "join-machine.sh: $1 '$2': a name is made of letters, digits, '.', '_' and '-'" >&2; exit 2 ;;
  esac
}
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || { echo "join-machine.sh: $1 has no value" >&2; exit 2; }
  case $1 in --name | --allow) plain "$1" "$2" ;; esac
  case $1 in
    --root) root=$2 ;; --python) python=$2 ;; --wheel) wheel=$2 ;; --lock) lock=$2 ;; --name) name=$2 ;;
    --advertise) advertise=$2 ;; --join) sponsor=$2 ;; --fingerprint) fingerprint=$2 ;;
    --allow) allowed="$allowed $2" ;; --admin) admin=$2 ;;
    *) echo "join-machine.sh: unknown option $1; the head of the file names them all" >&2; exit 2 ;;
  esac
  shift 2
done
for needed in wheel lock name advertise; do
  eval "value=\$$needed"
  [ -n "$value" ] || { echo "join-machine.sh: --$needed is missing" >&2; exit 2; }
done
[ -z "$sponsor" ] || [ -n "$fingerprint" ] || { echo "join-machine.sh: --join needs --fingerprint" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "join-machine.sh: must be run as root" >&2; exit 1; }

here=$(dirname "$0")
data=$root/var/lib/mnemesh backups=$root/var/backups/mnemesh venv=$root/opt/mnemesh units=$root/etc/systemd/system
say() { echo "join-machine.sh: $*"; }

# The user, and its folders.
if ! getent passwd mnemesh > /dev/null; then
  useradd --system --home-dir /var/lib/mnemesh --shell /usr/sbin/nologin --user-group mnemesh
  say "made the user mnemesh"
fi
install -d -m 0755 "$units" "$root/usr/local/bin" "$(dirname "$venv")"
install -d -m 0700 -o mnemesh -g mnemesh "$data" "$backups"
as_node() { setpriv --reuid mnemesh --regid mnemesh --clear-groups -- env HOME="$data" MNEMESH_DATA_DIR="$data" "$@"; }

# The program: again only when the wheel or the lock file is another one.
sums=$(cat "$wheel" "$lock" | sha256sum)
changed=''
if [ "$(cat "$venv/.installed" 2> /dev/null)" != "$sums" ]; then
  say "installs $wheel into $venv"
  "$python" -m venv "$venv"
  if ! as_node "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
    echo "join-machine.sh: the user mnemesh cannot run $python, or it is older than 3.11; give another --python" >&2
    exit 1
  fi
  "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$lock"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$wheel"
  echo "$sums" > "$venv/.installed"
  ln -sfn "${venv#"$root"}/bin/mnemesh" "$root/usr/local/bin/mnemesh"
  changed=yes
fi
mnemesh=$venv/bin/mnemesh

# Its identity: once.
if [ ! -e "$data/config.toml" ]; then
  as_node "$mnemesh" init --name "$name" --advertise "$advertise" ${admin:+--admin "$admin"}
  # Peers come by the address of this machine, agents by loopback. As the user of the node: root follows no link
  # that this user could put there.
  as_node sed -i 's/^\[listen\]$/[listen]\nhost = "0.0.0.0"\nagent_listen = "127.0.0.1:9078"/' "$data/config.toml"
fi
for one in $allowed; do
  as_node "$mnemesh" node allow "${one%=*}" --name "${one##*=}"
done

# Its units.
for unit in mnemesh.service mnemesh-backup.service mnemesh-backup.timer; do
  if ! cmp -s "$here/systemd/$unit" "$units/$unit"; then
    install -m 0644 "$here/systemd/$unit" "$units/$unit"
    changed=yes
  fi
done

# Its mesh: once.
if [ -n "$sponsor" ] && [ ! -e "$data/CURRENT" ] && [ ! -e "$data/join.json" ]; then
  if ! as_node "$mnemesh" node join "$sponsor" --fingerprint "$fingerprint"; then
    say "not joined yet. On the machine of the sponsor: mnemesh node allow $(as_node "$mnemesh" node fingerprint) --name $name"
    say "then run this again"
    exit 6
  fi
fi

if [ -n "$root" ]; then
  say "installed below $root; nothing was started"
  exit 0
fi
systemctl daemon-reload
systemctl enable --quiet mnemesh.service mnemesh-backup.timer
systemctl start mnemesh-backup.timer
if [ -n "$changed" ]; then systemctl restart mnemesh.service; else systemctl start mnemesh.service; fi
as_node "$mnemesh" status
