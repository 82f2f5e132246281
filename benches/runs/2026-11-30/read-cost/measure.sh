#!/usr/bin/env bash
# What reading costs: 3,000,000 trades of a topic on 127.0.0.1:29092 (8 partitions, one broker)
# are read, decoded and dropped; processor time of the consumer, in all and by thread.
# The topic: tidegate produce --brokers 127.0.0.1:29092 --topic tt --rate max --records 3000000
# Usage: measure.sh TIDEGATE
set -euo pipefail
"$1" consume --brokers 127.0.0.1:29092 --topic tt --group "g$RANDOM$RANDOM" --database none \
  --metrics-addr 127.0.0.1:28123 --batch-size 5000 >/dev/null 2>&1 &
pod=$!
begin=$(date +%s.%N)
while [ "$(curl -s 127.0.0.1:28123/metrics |
  awk '/^kafka_messages_processed_total/ { sum += $2 } END { print int(sum) }')" -lt 3000000 ]; do
  sleep 0.1
done
end=$(date +%s.%N)
read -ra stat <"/proc/$pod/stat"
awk -v u="${stat[13]}" -v s="${stat[14]}" -v e="$end" -v b="$begin" -v m="$(grep VmHWM "/proc/$pod/status")" \
  'BEGIN { printf "processor %.2f s (user %.2f, system %.2f), wall %.2f s, %s\n", (u+s)/100, u/100, s/100, e-b, m }'
for task in "/proc/$pod/task/"*; do
  read -ra stat <"$task/stat"
  printf '   %s %d ms\n' "$(cat "$task/comm")" $(((stat[13] + stat[14]) * 10))
done | sort -k2 -nr | head -4
kill "$pod"
