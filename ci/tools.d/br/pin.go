//go:build pin

// Package pin keeps br among the requirements of this module.
package pin

import _ "github.com/pingcap/tidb/br/pkg/task"
