//go:build wasip1

package main

import "fmt"

// What one VM remembers. It has one thread, and calls do not overlap.
var (
	policies = map[uint32]*policy{} // by root context
	streams  = map[uint32]*stream{} // by stream context
	calls    = map[uint32]*stream{} // by callout
)

// The module is a reactor: the host calls its exports.
func main() {}

//go:wasmexport proxy_abi_version_0_2_1
func abiVersion() {}

//go:wasmexport proxy_on_context_create
func onContextCreate(context, root uint32) {
	if root != 0 {
		streams[context] = &stream{context: context, policy: policies[root]}
	}
}

//go:wasmexport proxy_on_configure
func onConfigure(root, size uint32) bool {
	policy, err := newPolicy(pluginConfiguration(size))
	if err != nil {
		logLine(levelError, fmt.Sprintf("pintle-go: configuration: %v", err))
		return false
	}
	policies[root] = policy
	return true
}

//go:wasmexport proxy_on_request_headers
func onRequestHeaders(context, _, _ uint32) uint32 {
	s := streams[context]
	if reply := s.policy.onRequest(s); reply != nil {
		reply.send()
		return actionPause
	}
	if s.waiting != nil {
		return actionPause
	}
	return actionContinue
}

//go:wasmexport proxy_on_http_call_response
func onHTTPCallResponse(_, call, _, bodySize, _ uint32) {
	s := calls[call]
	delete(calls, call)
	// The client may have gone, and its stream with it.
	if s == nil || streams[s.context] != s {
		return
	}
	proxySetEffectiveContext(s.context)
	if reply := s.waiting.onAnswer(bodySize); reply != nil {
		reply.send()
		return
	}
	resume()
}

// The host calls it for this plug-in's own replies too.
//
//go:wasmexport proxy_on_response_headers
func onResponseHeaders(context, _, _ uint32) uint32 {
	s := streams[context]
	s.policy.onResponse(s)
	return actionContinue
}

//go:wasmexport proxy_on_delete
func onDelete(context uint32) {
	delete(streams, context)
	delete(policies, context)
}
