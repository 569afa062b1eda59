# shellcheck shell=bash
# What up.sh, demo.sh and down.sh share: what they need, how they tell what they do, and how they wait.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=deploy/kind/versions.env
. deploy/kind/versions.env

CLUSTER=${CLUSTER:-cmp-core}
S3_PORT=${S3_PORT:-4566}
PYTHON=${PYTHON:-.venv/bin/python}
# How often a wait looks again, and how long it lasts at most: the tests are in a hurry.
POLL_SECONDS=${POLL_SECONDS:-2}
WAIT_AT_MOST=${WAIT_AT_MOST:-3600}

say() { printf '\n== %s\n' "$*"; }

# run COMMAND…: show the command as one could type it, then run it.
run() {
  local word shown='$'
  for word in "$@"; do
    case $word in
      kubectl) word="kubectl --context kind-$CLUSTER" ;;
      *[!A-Za-z0-9_./:=@,-]*) word="'$word'" ;;
    esac
    shown+=" $word"
  done
  printf '%s\n' "$shown"
  "$@"
}

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# Never the cluster that happens to be the current one.
kubectl() { command kubectl --context "kind-$CLUSTER" "$@"; }

bucket() { run "$PYTHON" -m tools.kind_bucket --endpoint "http://127.0.0.1:$S3_PORT" "$@"; }

# Name everything that is missing at once, each with a remedy.
require_programs() {
  local missing=0
  need() {
    type -P "$1" >/dev/null && return # -P: kubectl is a function as well
    missing=1
    printf '%s is missing: %s\n' "$1" "$2" >&2
  }
  need docker 'install Docker Engine or Docker Desktop, see https://docs.docker.com/get-started/get-docker/'
  need kind "$PYTHON -m tools.binaries kind builds version $KIND_VERSION with Go; or see https://kind.sigs.k8s.io"
  need kubectl 'see https://kubernetes.io/docs/tasks/tools/#kubectl'
  [ "$missing" = 0 ] || exit 1
  docker version >/dev/null 2>&1 \
    || fail 'Docker does not answer: start it, or let this user reach it, until "docker version" shows a server.'
  if [ "$(kind version --quiet)" != "$KIND_VERSION" ]; then
    printf 'kind is %s, and the node image is made for %s: what goes wrong may be for that.\n' \
      "$(kind version --quiet)" "$KIND_VERSION" >&2
  fi
}

cluster_exists() { kind get clusters 2>/dev/null | grep -x "$CLUSTER" >/dev/null; }

require_cluster() { cluster_exists || fail "There is no cluster $CLUSTER: run make kind-up first."; }

# wait_until SECONDS WHAT COMMAND…: until the command succeeds; after the seconds, show the Application and fail.
wait_until() {
  local seconds=$(($1 < WAIT_AT_MOST ? $1 : WAIT_AT_MOST)) what=$2 started=$SECONDS
  shift 2
  until "$@"; do
    if ((SECONDS - started >= seconds)); then
      kubectl -n argocd get application demo-app -o yaml >&2 || true
      fail "After $seconds s it still does not hold that $what: the Application stands above."
    fi
    sleep "$POLL_SECONDS"
  done
  printf 'After %d s: %s.\n' $((SECONDS - started)) "$what"
}

# application PATH: print what a JSONPath finds in the Application.
application() { kubectl -n argocd get application demo-app -o "jsonpath=$1"; }

is_in_sync() { [ "$(application '{.status.sync.status} {.status.health.status}')" = 'Synced Healthy' ]; }

error_text() { application '{.status.conditions[?(@.type=="ComparisonError")].message}'; }

# has_error WORDS: the comparison has failed, and the text that the user reads holds these words.
has_error() { [[ "$(application '{.status.sync.status}')" == Unknown && "$(error_text)" == *"$1"* ]]; }

# What `argocd app get --hard-refresh` does. Argo CD takes the annotation away when it has looked.
hard_refresh() {
  run kubectl -n argocd annotate application demo-app argocd.argoproj.io/refresh=hard --overwrite
  wait_until 120 'Argo CD has rendered again' is_refreshed
}

is_refreshed() { [ -z "$(application '{.metadata.annotations.argocd\.argoproj\.io/refresh}')" ]; }
