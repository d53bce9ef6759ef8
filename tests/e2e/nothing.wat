;; The smallest plugin that Envoy runs: it lets every request pass. Its exports are what the host asks for
;; (proxy-wasm ABI 0.2.0): the version by the name of a function, memory, and a way to get some.
(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_0"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 1024)
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 1)
  (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
  (func (export "proxy_on_context_create") (param i32 i32))
)
