# Shared by the scripts that run the programs.  Sourced, not run.

# wait_ready LOG PID — prints the bound address once the program says it is ready.
wait_ready() {
  local log=$1 pid=$2 address=
  for _ in $(seq 1 300); do
    address=$(sed -n 's/.*"event":"ready".*"address":"\([^"]*\)".*/\1/p' "$log" 2>/dev/null | head -n 1)
    if [[ -n $address ]]; then
      printf '%s\n' "$address"
      return 0
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "the program did not start; its last words:" >&2
  tail -n 5 "$log" >&2
  return 1
}

# stop_program PID — SIGTERM, and waits until it is gone.
stop_program() {
  local pid=$1
  if kill -0 "$pid" 2>/dev/null; then
    kill -TERM "$pid"
    wait "$pid" || echo "process $pid ended with status $?" >&2
  fi
}

bold() {
  if [[ -t 1 ]]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n%s\n' "$*"; fi
}
