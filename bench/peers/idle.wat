;; A proxy-wasm module that does nothing: what the ABI costs by itself.
(module
  (import "env" "proxy_send_local_response"
    (func $send_local_response (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)

  (func (export "proxy_abi_version_0_2_1"))

  ;; Envoy loads no module without this. It is not called here; 0 would be: no memory.
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    i32.const 0)

  ;; A request with content is answered, so that the module can be seen to run.
  (func (export "proxy_on_request_headers")
    (param $context i32) (param $count i32) (param $end_of_stream i32) (result i32)
    local.get $end_of_stream
    if
      i32.const 0 ;; Continue
      return
    end
    (call $send_local_response
      (i32.const 418)                ;; status
      (i32.const 0) (i32.const 0)    ;; details
      (i32.const 0) (i32.const 0)    ;; body
      (i32.const 0) (i32.const 0)    ;; fields
      (i32.const -1))                ;; no gRPC status
    drop
    i32.const 1) ;; StopIteration

  (func (export "proxy_on_response_headers")
    (param $context i32) (param $count i32) (param $end_of_stream i32) (result i32)
    i32.const 0)) ;; Continue
