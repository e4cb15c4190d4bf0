#!/bin/sh
# Build a Debian package of mnemesh for the Python and the processor of this machine:
#
#     build-package.sh --wheel dist/mnemesh-*.whl --lock requirements.lock --out DIR [--python PYTHON]
#
# The layout is Debian's: the command in /usr/bin, the program and what the lock file names in /usr/lib/mnemesh,
# configuration in /etc/mnemesh (`mnemesh init` writes it), everything of the node in /var/lib/mnemesh, units in /usr/lib/systemd/system.
# Installing makes the user and the folders and starts nothing: a node has no identity yet. Removing keeps the data,
# purging keeps it too: whoever means to lose a memory removes /var/lib/mnemesh by hand.
set -euf
umask 022

python=python3 wheel='' lock='' out=''
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || { echo "build-package.sh: $1 has no value" >&2; exit 2; }
  case $1 in
    --wheel) wheel=$2 ;; --lock) lock=$2 ;; --out) out=$2 ;; --python) python=$2 ;;
    *) echo "build-package.sh: unknown option $1; the head of the file names them all" >&2; exit 2 ;;
  esac
  shift 2
done
if [ -z "$wheel" ] || [ -z "$lock" ] || [ -z "$out" ]; then
  echo "build-package.sh: --wheel, --lock and --out are needed" >&2
  exit 2
fi

here=$(cd "$(dirname "$0")" && pwd)
version=$(basename "$wheel" | cut -d- -f2)
minor=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
next=$("$python" -c 'import sys; print("%d.%d" % (sys.version_info[0], sys.version_info[1] + 1))')
architecture=$(dpkg --print-architecture)
root=$(mktemp -d)
chmod 0755 "$root"
trap 'rm -rf "$root"' EXIT

install -d "$root/DEBIAN" "$root/usr/bin" "$root/usr/lib/mnemesh" "$root/usr/lib/systemd/system" \
  "$root/etc/default" "$root/usr/share/doc/mnemesh"
"$python" -m pip install --quiet --disable-pip-version-check --no-compile --target "$root/usr/lib/mnemesh" \
  --require-hashes -r "$lock"
"$python" -m pip install --quiet --disable-pip-version-check --no-compile --target "$root/usr/lib/mnemesh" \
  --no-deps "$wheel"
rm -rf "$root/usr/lib/mnemesh/bin"
cat > "$root/usr/bin/mnemesh" << 'COMMAND'
#!/bin/sh
# The program lies in a folder of its own, so that no other package of Python meets it.
PYTHONPATH=/usr/lib/mnemesh exec /usr/bin/python3 -P -m node "$@"
COMMAND
chmod 0755 "$root/usr/bin/mnemesh"
for unit in mnemesh.service mnemesh-backup.service mnemesh-backup.timer; do
  sed 's|/usr/local/bin/mnemesh|/usr/bin/mnemesh|' "$here/../systemd/$unit" > "$root/usr/lib/systemd/system/$unit"
done
install -m 0644 "$here/mnemesh.default" "$root/etc/default/mnemesh"
install -m 0644 "$here/../../LICENSE" "$root/usr/share/doc/mnemesh/copyright"
for script in postinst prerm postrm; do install -m 0755 "$here/$script" "$root/DEBIAN/$script"; done
echo /etc/default/mnemesh > "$root/DEBIAN/conffiles"
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@PYTHON@/$minor/" -e "s/@NEXT@/$next/" \
  -e "s/@SIZE@/$(du -sk "$root/usr" | cut -f1)/" "$here/control" > "$root/DEBIAN/control"
install -d "$out"
dpkg-deb --root-owner-group --build "$root" "$out/mnemesh_${version}_$architecture.deb"
