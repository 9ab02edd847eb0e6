#!/bin/sh
# in-guest.sh COMMAND...: run COMMAND here, under a User-Mode-Linux kernel, which has SCTP whatever the host's kernel has.
# The guest's files are the host's, its user is root of these as far as the caller is. The exit code is COMMAND's; 125 if
# the guest did not come so far. Debian: user-mode-linux, iproute2, kmod, busybox-static. Neither root nor KVM is needed.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# what to run, with every word and variable as it is here
quoted() { printf "'%s' " "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }
{
  export -p | grep -vE '^export (_|SHLVL|PWD|OLDPWD|TMPDIR)='
  printf 'cd %s\n' "$(quoted "$PWD")"
  for word in "$@"; do quoted "$word"; done
} > "$work/command"

cat > "$work/init" <<EOF_INIT
#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t tmpfs none /run
mount -t tmpfs none /dev/shm 2> /dev/null || { mkdir -p /dev/shm && mount -t tmpfs none /dev/shm; }
modules=/usr/lib/uml/modules/\$(uname -r)/kernel
for one in crypto/hmac lib/crc-ccitt net/ipv4/udp_tunnel net/ipv6/ipv6 net/ipv6/ip6_udp_tunnel net/sctp/sctp; do
  insmod \$modules/\$one.ko
done
ip link set lo mtu 1500 up  # with 64 KiB SCTP waits for delayed acknowledgements
sh "$work/command" > "$work/output" 2>&1
echo \$? > "$work/code"
busybox poweroff -f
EOF_INIT
chmod +x "$work/init"

timeout -k 5 "${GUEST_SECONDS:-240}" linux.uml mem=512M root=/dev/root rootfstype=hostfs rootflags=/ rw "init=$work/init" \
  con=null con0=null,fd:1 quiet < /dev/null > "$work/console" 2>&1 || true
cat "$work/output" 2> /dev/null || true
if [ ! -s "$work/code" ]; then
  echo "in-guest.sh: the guest did not come to an end:" >&2
  tail -n 20 "$work/console" >&2
  exit 125
fi
exit "$(cat "$work/code")"
