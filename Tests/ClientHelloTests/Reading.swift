import ClientHello
import NIOCore
import TestSupport
import Testing

/// The result of a reader.
enum Outcome: Equatable, Sendable {
    case more
    case hello(ClientHello)
    case failure(ClientHelloError)
}

/// Passes the pieces to a reader one by one, up to its first result.
func read(_ pieces: [[UInt8]]) -> Outcome {
    var reader = ClientHelloReader()
    for piece in pieces {
        do throws(ClientHelloError) {
            if let hello = try reader.receive(ByteBuffer(bytes: piece).readableBytesView) { return .hello(hello) }
        } catch {
            return .failure(error)
        }
    }
    return .more
}

/// The files of Fixtures/clienthello.
private let hellos = Result {
    Dictionary(uniqueKeysWithValues: try Fuzzing.corpus("clienthello").map { ($0.name, $0.bytes) })
}

/// The bytes of a file in Fixtures/clienthello.
func fixture(_ name: String) throws -> [UInt8] {
    try #require(try hellos.get()["\(name).hex"], "no \(name).hex")
}

/// A ClientHello whose parts can be changed, with lengths that fit.
struct HelloParts {
    struct Extension {
        var type: UInt16
        var data: [UInt8]
    }

    /// The version and the random.
    var start: [UInt8]
    var sessionID: [UInt8]
    var suites: [UInt8]
    var methods: [UInt8]
    var extensions: [Extension]

    /// Takes a hello of one record apart, without a check of its lengths.
    init(_ record: [UInt8]) {
        var buffer = ByteBuffer(bytes: record.dropFirst(9))
        start = buffer.readBytes(length: 34) ?? []
        sessionID = buffer.readLengthPrefixedSlice(as: UInt8.self).map { Array(buffer: $0) } ?? []
        suites = buffer.readLengthPrefixedSlice(as: UInt16.self).map { Array(buffer: $0) } ?? []
        methods = buffer.readLengthPrefixedSlice(as: UInt8.self).map { Array(buffer: $0) } ?? []
        var list = buffer.readLengthPrefixedSlice(as: UInt16.self) ?? ByteBuffer()
        extensions = []
        while let type = list.readInteger(as: UInt16.self), let data = list.readLengthPrefixedSlice(as: UInt16.self) {
            extensions.append(Extension(type: type, data: Array(buffer: data)))
        }
    }

    /// The data of an extension, which is added if it is missing.
    subscript(type: UInt16) -> [UInt8] {
        get { extensions.first { $0.type == type }?.data ?? [] }
        set {
            if let index = extensions.firstIndex(where: { $0.type == type }) {
                extensions[index].data = newValue
            } else {
                extensions.append(Extension(type: type, data: newValue))
            }
        }
    }

    /// The handshake message without its header.
    var body: [UInt8] {
        body(extensions: extensions.flatMap { $0.type.bytes + prefixed16($0.data) })
    }

    /// The same with another list of extensions.
    func body(extensions list: [UInt8]) -> [UInt8] {
        start + prefixed8(sessionID) + prefixed16(suites) + prefixed8(methods) + prefixed16(list)
    }

    /// The message in one record.
    var record: [UInt8] { wire(handshake(body)) }
}

/// A handshake message.
func handshake(_ body: [UInt8], type: UInt8 = 1) -> [UInt8] {
    [type, UInt8(body.count >> 16 & 0xFF)] + UInt16(truncatingIfNeeded: body.count).bytes + body
}

/// A message in records of a size.
func wire(_ message: [UInt8], size: Int = .max) -> [UInt8] {
    stride(from: 0, to: message.count, by: min(size, message.count)).flatMap { start in
        let fragment = message[start..<min(message.count, start + min(size, message.count))]
        return [0x16, 3, 1] + prefixed16(Array(fragment))
    }
}

func prefixed8(_ bytes: [UInt8]) -> [UInt8] { [UInt8(bytes.count)] + bytes }

func prefixed16(_ bytes: [UInt8]) -> [UInt8] { UInt16(bytes.count).bytes + bytes }

/// The data of a server_name extension with entries of type and name.
func serverNames(_ entries: (type: UInt8, name: String)...) -> [UInt8] {
    prefixed16(entries.flatMap { [$0.type] + prefixed16(Array($0.name.utf8)) })
}

extension UInt16 {
    var bytes: [UInt8] { [UInt8(self >> 8), UInt8(self & 0xFF)] }
}
