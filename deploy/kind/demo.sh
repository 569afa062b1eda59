#!/usr/bin/env bash
# make kind-demo: a change arrives; an emptied prefix and an S3 that is down delete nothing; it heals by itself. Every
# step is checked, and the first that does not hold ends the demo with 1.

# shellcheck source=deploy/kind/steps.sh
. "$(dirname "$0")/steps.sh"

require_programs
require_cluster
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

replicas() { kubectl -n demo-app get deployment demo-app -o 'jsonpath={.spec.replicas}'; }
has_replicas() { [ "$(replicas)" = "$1" ]; }

# Deployment and Service with their UIDs: an object that was deleted and made anew would have another one.
live_objects() {
  kubectl -n demo-app get deployment,service -o 'jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid}{"\n"}{end}'
}

expect_nothing_deleted() {
  local now
  now=$(live_objects)
  [ "$now" = "${before:?}" ] || fail "Objects have gone. Before: $before. Now: $now"
  printf 'Nothing was deleted:\n%s\n' "$now"
}

localstack_is_gone() { [ -z "$(kubectl -n localstack get pods -o name)" ]; }

sync_started() { application '{.status.operationState.startedAt}'; }

# A sync that began after the one before has ended with an error.
sync_has_failed() {
  [ "$(sync_started)" != "$last_sync" ] || return 1
  case $(application '{.status.operationState.phase}') in Error | Failed) ;; *) return 1 ;; esac
}

say '0. As make kind-up left it: what lies in S3 runs in the cluster'
bucket upload examples/quickstart/objects
hard_refresh
wait_until 180 'the Application is synced and healthy' is_in_sync
wait_until 360 'the Deployment has 2 replicas' has_replicas 2

say '1. CI uploads a change: three replicas instead of two. Git does not change'
cp -R examples/quickstart/objects "$scratch/objects"
sed 's/replicas: 2/replicas: 3/' examples/quickstart/objects/deployment.yaml >"$scratch/objects/deployment.yaml"
bucket upload "$scratch/objects"
echo 'Argo CD keeps what a plugin returned for a commit, so CI also asks for a hard refresh; selfHeal then deploys.'
hard_refresh
wait_until 360 'the Deployment has 3 replicas' has_replicas 3
wait_until 180 'the Application is synced and healthy' is_in_sync

say '2. Somebody empties the prefix. Argo CD prunes, so an empty answer would delete the application'
before=$(live_objects)
bucket empty
hard_refresh
wait_until 60 'the comparison fails and names the prefix' has_error 'nothing lies under s3://test-bucket/apps/demo-app'
printf 'The user reads: %s\n' "$(error_text)"
echo 'A sync by hand, with pruning, fails in the same way:'
last_sync=$(sync_started)
run kubectl -n argocd patch application demo-app --type merge \
  --patch '{"operation": {"initiatedBy": {"username": "kind-demo"}, "sync": {"prune": true}}}'
wait_until 60 'the sync has failed' sync_has_failed
printf 'The user reads: %s\n' "$(application '{.status.operationState.message}')"
expect_nothing_deleted
echo 'The objects come back:'
bucket upload "$scratch/objects"
hard_refresh
wait_until 180 'the Application is synced and healthy' is_in_sync

say '3. S3 goes down'
run kubectl -n localstack scale deployment/localstack --replicas=0
wait_until 120 'no pod of LocalStack is left' localstack_is_gone
hard_refresh
wait_until 120 'the comparison fails and says that S3 does not answer' has_error 'could not connect'
printf 'The user reads: %s\n' "$(error_text)"
expect_nothing_deleted

say '4. S3 comes back. Nobody asks Argo CD for anything now'
run kubectl -n localstack scale deployment/localstack --replicas=1
run kubectl -n localstack rollout status deployment/localstack --timeout=300s
echo 'LocalStack keeps nothing, so the objects are uploaded again. Another S3 would still have them.'
bucket upload "$scratch/objects"
wait_until 420 'the Application has healed by itself' is_in_sync
expect_nothing_deleted

say 'All of it held. make kind-down removes the cluster'
