/// The groups of header fields that a relay treats apart.
package enum FieldNames {
    /// Fields that end at each hop (RFC 9110 section 7.6.1).
    package static let hopByHop: Set<String> = [
        "connection", "keep-alive", "proxy-connection", "upgrade", "te", "transfer-encoding", "proxy-authorization",
        "proxy-authenticate", "http2-settings",
    ]

    /// Fields that name a request's origin or target. A service trusts them, so a visitor's own values are removed.
    package static let origins: Set<String> = [
        "forwarded", "x-real-ip", "x-client-ip", "client-ip", "x-cluster-client-ip", "true-client-ip",
        "cf-connecting-ip",
        "cf-connecting-ipv6", "cf-pseudo-ipv4", "fastly-client-ip", "x-azure-clientip", "x-azure-socketip",
        "x-appengine-user-ip", "x-envoy-external-address", "x-original-forwarded-for", "x-original-host",
        "x-original-url", "x-rewrite-url", "x-original-uri", "x-host", "x-http-host-override", "x-originating-ip",
        "x-remote-ip", "x-remote-addr", "remote-addr", "proxy-client-ip", "wl-proxy-client-ip", "x-proxyuser-ip",
        "x-real-port", "x-scheme", "x-url-scheme", "front-end-https", "x-true-client-ip", "fly-client-ip",
        "do-connecting-ip", "x-nf-client-connection-ip", "x-vercel-forwarded-for", "x-vercel-ip",
        // CGI programs see this field as the environment variable HTTP_PROXY.
        "proxy",
    ]

    /// Fields that Connection must not remove: those that frame the message, address it, or give it its meaning.
    package static let lasting: Set<String> = [
        "host", "content-length", "transfer-encoding", "content-type", "content-encoding", "content-range",
        "authorization", "cookie", "cache-control", "expect", "range", "origin",
    ]

    /// The fields that frame and address a message.
    package static let framing: Set<String> = ["host", "content-length", "transfer-encoding"]

    /// Fields that may not come as trailers: those that frame or route a message, or that a recipient acts on before its
    /// body (RFC 9110 section 6.5.1).
    package static let heads: Set<String> = hopByHop.union(lasting).union(origins).union([
        "trailer", "set-cookie", "age", "date", "expires", "location", "retry-after", "vary", "warning",
        "www-authenticate", "max-forwards", "pragma", "if-match", "if-none-match", "if-modified-since",
        "if-unmodified-since", "if-range", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
    ])

    /// A field's name in lower case, with `-` for every character that is neither a letter nor a digit. Programs that put
    /// fields into variables see names of one spelling as the same.
    package static func spelling(_ name: String) -> String {
        String(
            decoding: name.utf8.lazy.map { byte in
                switch byte {
                case 0x61...0x7A, 0x30...0x39: byte
                case 0x41...0x5A: byte | 0x20
                default: UInt8(ascii: "-")
                }
            },
            as: UTF8.self
        )
    }

    /// Whether a field of this spelling may come as a trailer.
    package static func mayTrail(_ spelling: String) -> Bool { !heads.contains(spelling) && !isOrigin(spelling) }

    /// Whether a field of this spelling names a request's origin.
    package static func isOrigin(_ spelling: String) -> Bool {
        spelling.hasPrefix("x-forwarded") || origins.contains(spelling)
    }
}
