#!/bin/sh
# Makes a Docker engine answer on this machine: installs Debian's docker.io where dockerd is missing, starts it, waits.
# Idempotent. The sandboxes have no network, so neither a bridge nor iptables is needed.
set -eu
socket=/var/run/docker.sock
answers() { curl -sf --max-time 2 --unix-socket "$socket" http://docker/_ping >/dev/null 2>&1; }

if answers; then
  exit 0
fi
missing=""
command -v dockerd >/dev/null || missing="docker.io"
command -v curl >/dev/null || missing="$missing curl"
if [ -n "$missing" ]; then
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
if ! answers; then
  setsid nohup dockerd --bridge none --iptables=false >/tmp/dockerd.log 2>&1 </dev/null &
  tries=0
  until answers; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ]; then
      echo "dockerd did not answer within 30 s; the end of /tmp/dockerd.log:" >&2
      tail -20 /tmp/dockerd.log >&2
      exit 1
    fi
    sleep 0.1
  done
fi
