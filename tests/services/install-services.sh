#!/bin/sh
# Installs, on Debian, what the second tier of tests takes: the servers that `python -m tests.services` starts, which are
# Ceph's S3 server and Redis, an exFAT disk, which has no hard links, and Chromium, in which tests/ui look at Prefect.
# Silent when everything is there already. Needs root or sudo.
set -eu

missing=
for package in radosgw ceph-mon ceph-osd redis-server chromium exfatprogs exfat-fuse; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    exec sudo -- sh "$0"
fi

policy=/usr/sbin/policy-rc.d
ours=
log=$(mktemp)
finish() {
    rm -f "$log"
    [ -z "$ours" ] || rm -f "$policy"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Tests start their own servers on free ports: Debian's must not start with the installation.
if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # one word per package
if ! { apt-get update -qq && apt-get install -qq -y --no-install-recommends $missing; } >"$log" 2>&1 </dev/null; then
    echo "$0: could not install$missing:" >&2
    tail -n 40 "$log" >&2
    exit 1
fi
echo "installed$missing"
