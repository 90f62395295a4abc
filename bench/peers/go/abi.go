//go:build wasip1

package main

import (
	"encoding/binary"
	"iter"
	"unsafe"
)

type headerMap uint32

const (
	requestHeaders  headerMap = 0
	responseHeaders headerMap = 2
	callHeaders     headerMap = 6
)

type logLevel uint32

const (
	levelTrace logLevel = iota
	levelDebug
	levelInfo
	levelWarn
	levelError
)

const (
	actionContinue uint32 = 0
	actionPause    uint32 = 1
)

const (
	statusOK                  uint32 = 0
	bufferCallBody            uint32 = 4
	bufferPluginConfiguration uint32 = 7
	requestStream             uint32 = 0
	noGRPCStatus              int32  = -1
)

// headerValue is the first value of a field.
func headerValue(m headerMap, name string) (string, bool) {
	status := proxyGetHeaderMapValue(uint32(m), name, &returned.data, &returned.size)
	return take(), status == statusOK
}

// headerPairs are all fields in order of arrival, as the ABI writes them.
func headerPairs(m headerMap) pairs {
	proxyGetHeaderMapPairs(uint32(m), &returned.data, &returned.size)
	return pairs(take())
}

func replaceHeader(m headerMap, name, value string) {
	proxyReplaceHeaderMapValue(uint32(m), name, value)
}

func addHeader(m headerMap, name, value string) {
	proxyAddHeaderMapValue(uint32(m), name, value)
}

func removeHeader(m headerMap, name string) {
	proxyRemoveHeaderMapValue(uint32(m), name)
}

func sendLocalResponse(status uint32, details, body string, headers pairs) {
	proxySendLocalResponse(status, details, body, string(headers), noGRPCStatus)
}

func pluginConfiguration(size uint32) string {
	proxyGetBufferBytes(bufferPluginConfiguration, 0, size, &returned.data, &returned.size)
	return take()
}

// httpCall starts a callout, and tells it from others.
func httpCall(cluster string, headers pairs, timeoutMS uint32) (uint32, bool) {
	status := proxyHTTPCall(cluster, string(headers), "", "", timeoutMS, &returned.call)
	return returned.call, status == statusOK
}

func callBody(size uint32) string {
	proxyGetBufferBytes(bufferCallBody, 0, size, &returned.data, &returned.size)
	return take()
}

// resume lets a request go on that was held, from a call that is not about its stream.
func resume() {
	proxyContinueStream(requestStream)
}

func logLine(level logLevel, line string) {
	proxyLog(uint32(level), line)
}

// logs tells whether the host writes lines of a level, which may change while it runs.
func logs(level logLevel) bool {
	proxyGetLogLevel(&returned.level)
	return uint32(level) >= returned.level
}

// pairs is a list of names and values: the number of pairs, the length of each name and value, and
// then the texts, each with a NUL behind it.
type pairs string

func newPairs(list [][2]string) pairs {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(list)))
	for _, pair := range list {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(pair[0])))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(pair[1])))
	}
	for _, pair := range list {
		b = append(append(b, pair[0]...), 0)
		b = append(append(b, pair[1]...), 0)
	}
	return pairs(b)
}

func (p pairs) all() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		if p == "" {
			return
		}
		lengths, texts := p[4:], p[4+8*p.number(0):]
		for i := 0; len(texts) > 0; i += 8 {
			name, value := lengths.number(i), lengths.number(i+4)
			if !yield(string(texts[:name]), string(texts[name+1:name+1+value])) {
				return
			}
			texts = texts[name+value+2:]
		}
	}
}

func (p pairs) number(at int) int {
	return int(p[at]) | int(p[at+1])<<8 | int(p[at+2])<<16 | int(p[at+3])<<24
}

// received is what the host asked for while it answers a call, and fills with what it returns. It is
// held here so that the collector leaves it alone.
var received []byte

// returned is where the host says what it returned. It is no stack, which may move while the host
// calls back. Where and how long data is, received says too.
var returned struct{ data, size, level, call uint32 }

//go:wasmexport proxy_on_memory_allocate
func onMemoryAllocate(size uint32) unsafe.Pointer {
	received = make([]byte, size)
	return unsafe.Pointer(unsafe.SliceData(received))
}

// take is what the last call returned. Nothing writes to its bytes again.
func take() string {
	bytes := received
	received = nil
	return unsafe.String(unsafe.SliceData(bytes), len(bytes))
}

//go:wasmimport env proxy_get_header_map_value
func proxyGetHeaderMapValue(kind uint32, name string, data, size *uint32) uint32

//go:wasmimport env proxy_get_header_map_pairs
func proxyGetHeaderMapPairs(kind uint32, data, size *uint32) uint32

//go:wasmimport env proxy_replace_header_map_value
func proxyReplaceHeaderMapValue(kind uint32, name, value string) uint32

//go:wasmimport env proxy_add_header_map_value
func proxyAddHeaderMapValue(kind uint32, name, value string) uint32

//go:wasmimport env proxy_remove_header_map_value
func proxyRemoveHeaderMapValue(kind uint32, name string) uint32

//go:wasmimport env proxy_send_local_response
func proxySendLocalResponse(status uint32, details, body, headers string, grpcStatus int32) uint32

//go:wasmimport env proxy_get_buffer_bytes
func proxyGetBufferBytes(kind, start, size uint32, data, length *uint32) uint32

//go:wasmimport env proxy_http_call
func proxyHTTPCall(cluster, headers, body, trailers string, timeoutMS uint32, call *uint32) uint32

//go:wasmimport env proxy_set_effective_context
func proxySetEffectiveContext(context uint32) uint32

//go:wasmimport env proxy_continue_stream
func proxyContinueStream(kind uint32) uint32

//go:wasmimport env proxy_log
func proxyLog(level uint32, message string) uint32

//go:wasmimport env proxy_get_log_level
func proxyGetLogLevel(level *uint32) uint32
