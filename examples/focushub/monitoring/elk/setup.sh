#!/bin/bash
# Makes the logins that Kibana and Filebeat use; done again it does no harm.
set -euo pipefail

ask() {    # METHOD PATH BODY: the answer's body only where something is wrong
  curl --silent --show-error --fail-with-body --output /tmp/answer --user "elastic:$ELASTIC_PASSWORD" \
    --request "$1" "http://elasticsearch:9200$2" --header "Content-Type: application/json" --data "$3" \
    || { cat /tmp/answer >&2; exit 1; }
}

ask POST /_security/user/kibana_system/_password "{\"password\": \"$KIBANA_PASSWORD\"}"
# Filebeat may add lines to the stack's stream, and nothing else.
ask PUT /_security/role/stack_logs '{
  "cluster": ["monitor"],
  "indices": [{"names": ["logs-stack-*"], "privileges": ["auto_configure", "create_doc"]}]
}'
ask PUT /_security/user/filebeat "{\"password\": \"$FILEBEAT_PASSWORD\", \"roles\": [\"stack_logs\"]}"
echo "the logins of kibana and filebeat are made"
