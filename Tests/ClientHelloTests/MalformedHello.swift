import ClientHello
import Testing

/// A hello that must be refused, made from a real one.
struct MalformedHello: Sendable, CustomTestStringConvertible {
    let name: String
    let expected: ClientHelloError
    let bytes: @Sendable () throws -> [UInt8]

    var testDescription: String { name }

    /// Other bytes than a hello.
    static func bytes(_ name: String, _ bytes: [UInt8], _ expected: ClientHelloError) -> MalformedHello {
        MalformedHello(name: name, expected: expected) { bytes }
    }

    /// A hello with changed bytes: record header 0 to 4, message header 5 to 8, version 9, random 11, session identifier
    /// 43.
    static func raw(
        _ name: String,
        _ expected: ClientHelloError,
        _ change: @escaping @Sendable (inout [UInt8]) -> Void
    ) -> MalformedHello {
        MalformedHello(name: name, expected: expected) {
            var bytes = try fixture("openssl-alpn")
            change(&bytes)
            return bytes
        }
    }

    /// A hello with changed parts, and lengths that fit.
    static func parts(
        _ name: String,
        _ expected: ClientHelloError,
        _ change: @escaping @Sendable (inout HelloParts) -> Void
    ) -> MalformedHello {
        MalformedHello(name: name, expected: expected) {
            var parts = HelloParts(try fixture("openssl-alpn"))
            change(&parts)
            return parts.record
        }
    }

    /// A hello whose message body is replaced.
    static func body(
        _ name: String,
        _ expected: ClientHelloError,
        _ change: @escaping @Sendable (HelloParts) -> [UInt8]
    ) -> MalformedHello {
        MalformedHello(name: name, expected: expected) {
            wire(handshake(change(HelloParts(try fixture("openssl-alpn")))))
        }
    }

    static func serverName(_ name: String, _ data: [UInt8]) -> MalformedHello {
        parts("server name: \(name)", .malformed(.serverName)) { $0[0] = data }
    }

    static func protocols(_ name: String, _ data: [UInt8]) -> MalformedHello {
        parts("ALPN: \(name)", .malformed(.applicationProtocols)) { $0[16] = data }
    }

    static func versions(_ name: String, _ data: [UInt8]) -> MalformedHello {
        parts("supported versions: \(name)", .malformed(.supportedVersions)) { $0[43] = data }
    }
}
