#!/bin/sh
# Print a Secret with the identities of a mesh for Kubernetes, and a ConfigMap with their certificates:
#
#     identities.sh NODES NAMESPACE [FOLDER]
#
# The folders are kept in FOLDER (./mesh-identities): they are the only copy of the keys outside the cluster, to be
# locked away. Run again with a larger NODES it adds nodes and keeps the others.
set -eu
umask 077
nodes=${1:?how many nodes} namespace=${2:?which namespace} folder=${3:-mesh-identities}
names=$(seq -f 'mnemesh-%g' -s , 0 $((nodes - 1)))
mnemesh mesh prepare --dir "$folder" --cluster "$namespace" --names "$names" \
  --advertise "https://{name}.mnemesh.$namespace.svc:9077" \
  --san "mnemesh-agents.$namespace.svc" >&2
set -- secret generic mnemesh-identities
rm -f "$folder/all.pem"
for name in $(echo "$names" | tr , ' '); do
  tar -C "$folder/$name" --sort=name --owner=9077 --group=9077 -cf "$folder/$name.tar" config.toml keys
  set -- "$@" "--from-file=$folder/$name.tar"
  cat "$folder/$name/keys/tls.crt" >> "$folder/all.pem"
done
kubectl create "$@" --namespace "$namespace" --dry-run=client -o yaml
echo ---
kubectl create configmap mnemesh-certificates --namespace "$namespace" --from-file="$folder/all.pem" \
  --dry-run=client -o yaml
