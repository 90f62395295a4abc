//go:build wasip1

// Pintle-go is a proxy-wasm plug-in (ABI 0.2.1) that does Pintle's jobs in Go, as users of plug-ins
// in Go have them done today. It is there to be measured by `cargo xtask bench`, not to be deployed.
//
// It stands straight on the ABI: no SDK dispatches its calls, and it exports only what it needs.
// That flatters Go, since Envoy enters the module for each export that is there.
//
// It reads Pintle's configuration, as far as the scenarios of the bench go, and refuses the rest.
// What it leaves out makes it cheaper too: a path has one form, without the query; of a repeated
// field the first value is looked at; credentials are not compared in constant time. Tokens are not
// remembered: each request is a callout.
package main
