# Istio's proxy with the native module in it. ISTIO is the version of your mesh.
ARG ISTIO=1.31.1
# A tag can be moved, and this is native code: `@sha256:..` behind it pins it.
FROM registry.example.com/pintle:0.1.0-module AS module
FROM istio/proxyv2:${ISTIO}
COPY --from=module /libpintle.so /opt/pintle/libpintle.so
