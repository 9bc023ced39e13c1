// PD's configuration as a fresh PD 8.5.7 shows it over HTTP (GET /pd/api/v1/config), without the names and limits that a
// cluster fills in. Values are recorded from a real one, which was started with merging switched off.
#pragma once

namespace kvjury::pd {

inline constexpr char kConfigDefaults[] = R"json({
  "client-urls": "",
  "peer-urls": "",
  "advertise-client-urls": "",
  "advertise-peer-urls": "",
  "name": "",
  "data-dir": "",
  "force-new-cluster": false,
  "enable-grpc-gateway": true,
  "initial-cluster": "",
  "initial-cluster-state": "new",
  "initial-cluster-token": "pd-cluster",
  "join": "",
  "lease": 5,
  "log": {
    "level": "info",
    "format": "text",
    "disable-timestamp": false,
    "file": {
      "filename": "",
      "max-size": 300,
      "max-days": 0,
      "max-backups": 0
    },
    "development": false,
    "disable-caller": false,
    "disable-stacktrace": false,
    "disable-error-verbose": true,
    "sampling": null,
    "error-output-path": ""
  },
  "max-concurrent-tso-proxy-streamings": 5000,
  "tso-proxy-recv-from-client-timeout": "1h0m0s",
  "tso-save-interval": "5s",
  "tso-update-physical-interval": "50ms",
  "enable-local-tso": false,
  "metric": {
    "job": "",
    "address": "",
    "interval": "15s"
  },
  "schedule": {
    "max-snapshot-count": 64,
    "max-pending-peer-count": 64,
    "max-merge-region-size": 1,
    "max-merge-region-keys": 10000,
    "split-merge-interval": "1h0m0s",
    "switch-witness-interval": "1h0m0s",
    "enable-one-way-merge": "false",
    "enable-cross-table-merge": "true",
    "patrol-region-interval": "100ms",
    "max-store-down-time": "30m0s",
    "max-store-preparing-time": "48h0m0s",
    "leader-schedule-limit": 8,
    "leader-schedule-policy": "count",
    "region-schedule-limit": 2048,
    "witness-schedule-limit": 4,
    "replica-schedule-limit": 64,
    "merge-schedule-limit": 0,
    "hot-region-schedule-limit": 4,
    "affinity-schedule-limit": 0,
    "split-scatter-schedule-limit": 0,
    "hot-region-cache-hits-threshold": 3,
    "store-limit": {},
    "tolerant-size-ratio": 0,
    "low-space-ratio": 0.8,
    "high-space-ratio": 0.7,
    "region-score-formula-version": "v2",
    "scheduler-max-waiting-operator": 5,
    "enable-remove-down-replica": "true",
    "enable-replace-offline-replica": "true",
    "enable-make-up-replica": "true",
    "enable-remove-extra-replica": "true",
    "enable-location-replacement": "true",
    "enable-debug-metrics": "false",
    "enable-joint-consensus": "true",
    "enable-tikv-split-region": "true",
    "enable-heartbeat-breakdown-metrics": "true",
    "enable-heartbeat-concurrent-runner": "true",
    "schedulers-v2": [
      {
        "type": "balance-region",
        "args": null,
        "disable": false,
        "args-payload": ""
      },
      {
        "type": "balance-leader",
        "args": null,
        "disable": false,
        "args-payload": ""
      },
      {
        "type": "hot-region",
        "args": null,
        "disable": false,
        "args-payload": ""
      },
      {
        "type": "evict-slow-store",
        "args": null,
        "disable": false,
        "args-payload": ""
      },
      {
        "type": "evict-stopping-store",
        "args": null,
        "disable": false,
        "args-payload": ""
      }
    ],
    "hot-regions-write-interval": "10m0s",
    "hot-regions-reserved-days": 7,
    "max-movable-hot-peer-size": 512,
    "enable-diagnostic": "true",
    "enable-witness": "false",
    "slow-store-evicting-affected-store-ratio-threshold": 0.3,
    "store-limit-version": "v1",
    "patrol-region-worker-count": 1,
    "max-affinity-merge-region-size": 256
  },
  "replication": {
    "max-replicas": 3,
    "location-labels": "",
    "strictly-match-label": "false",
    "enable-placement-rules": "true",
    "enable-placement-rules-cache": "false",
    "isolation-level": ""
  },
  "pd-server": {
    "use-region-storage": "true",
    "max-gap-reset-ts": "24h0m0s",
    "key-type": "table",
    "runtime-services": "",
    "metric-storage": "",
    "dashboard-address": "auto",
    "flow-round-by-digit": 3,
    "min-resolved-ts-persistence-interval": "1s",
    "server-memory-limit": 0,
    "server-memory-limit-gc-trigger": 0.7,
    "enable-gogc-tuner": "false",
    "gc-tuner-threshold": 0.6,
    "block-safe-point-v1": "false"
  },
  "cluster-version": "8.5.0",
  "labels": {},
  "quota-backend-bytes": "8GiB",
  "auto-compaction-mode": "periodic",
  "auto-compaction-retention-v2": "1h",
  "tick-interval": "500ms",
  "election-interval": "3s",
  "enable-prevote": true,
  "max-request-bytes": 157286400,
  "security": {
    "cacert-path": "",
    "cert-path": "",
    "key-path": "",
    "cert-allowed-cn": null,
    "SSLCABytes": null,
    "SSLCertBytes": null,
    "SSLKEYBytes": null,
    "redact-info-log": false,
    "encryption": {
      "data-encryption-method": "plaintext",
      "data-key-rotation-period": "168h0m0s",
      "master-key": {
        "type": "plaintext",
        "key-id": "",
        "region": "",
        "endpoint": "",
        "path": ""
      }
    }
  },
  "label-property": {},
  "dashboard": {
    "tidb-cacert-path": "",
    "tidb-cert-path": "",
    "tidb-key-path": "",
    "public-path-prefix": "",
    "internal-proxy": false,
    "enable-telemetry": false,
    "enable-experimental": false,
    "disable-custom-prom-addr": false
  },
  "replication-mode": {
    "replication-mode": "majority",
    "dr-auto-sync": {
      "label-key": "",
      "primary": "",
      "dr": "",
      "primary-replicas": 0,
      "dr-replicas": 0,
      "wait-store-timeout": "1m0s",
      "wait-recover-timeout": "0s",
      "pause-region-split": "false"
    }
  },
  "keyspace": {
    "pre-alloc": null,
    "wait-region-split": true,
    "wait-region-split-timeout": "30s",
    "check-region-split-interval": "50ms"
  },
  "micro-service": {
    "enable-scheduling-fallback": "true"
  },
  "controller": {
    "degraded-mode-wait-duration": "0s",
    "ltb-max-wait-duration": "30s",
    "ltb-token-rpc-max-delay": "1s",
    "request-unit": {
      "read-base-cost": 0.125,
      "read-per-batch-base-cost": 0.5,
      "read-cost-per-byte": 1.52587890625e-05,
      "write-base-cost": 1,
      "write-per-batch-base-cost": 1,
      "write-cost-per-byte": 0.0009765625,
      "read-cpu-ms-cost": 0.3333333333333333
    },
    "enable-controller-trace-log": "false"
  }
})json";

}  // namespace kvjury::pd
