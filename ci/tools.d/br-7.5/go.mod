// br 7.5.0, as a program: `go build github.com/pingcap/tidb/br/cmd/br` in this folder. Read by ci/tools.
module kvjury/ci/br-7.5

go 1.21

require (
	github.com/pingcap/tidb v1.1.0-beta.0.20231124053542-069631e2ecfe
	github.com/pingcap/tidb/pkg/parser v0.0.0-20231124053542-069631e2ecfe
)

// Replacements count in a main module only, so TiDB's own are repeated here.
replace (
	github.com/dgrijalva/jwt-go => github.com/form3tech-oss/jwt-go v3.2.6-0.20210809144907-32ab6a8243d7+incompatible
	github.com/go-ldap/ldap/v3 => github.com/YangKeao/ldap/v3 v3.4.5-0.20230421065457-369a3bab1117
	github.com/pingcap/tidb/pkg/parser => github.com/pingcap/tidb/pkg/parser v0.0.0-20231124053542-069631e2ecfe
	sourcegraph.com/sourcegraph/appdash => github.com/sourcegraph/appdash v0.0.0-20190731080439-ebfcffb1b5c0
	sourcegraph.com/sourcegraph/appdash-data => github.com/sourcegraph/appdash-data v0.0.0-20151005221446-73f23eafcf67
)
