import NIOCore
import ProxyConnect
import TestSupport
import Testing

@Suite("Datagrams behind a SOCKS header")
struct SocksDatagramTests {
    static let headers: [(header: String, destination: String?)] = [
        ("00 00 00 01 C0 00 02 07 00 35", "192.0.2.7:53"),
        ("00 00 00 03 07 64 62 2E 74 65 73 74 15 38", "db.test:5432"),
        ("00 00 00 04 20 01 0D B8 00 00 00 00 00 00 00 00 00 00 00 01 01 BB", "[2001:db8::1]:443"),
        // A fragment, a reserved byte that is set, no such type, port 0, and texts that are no names.
        ("00 00 01 01 C0 00 02 07 00 35", nil), ("00 01 00 01 C0 00 02 07 00 35", nil),
        ("00 00 00 02 C0 00 02 07 00 35", nil), ("00 00 00 01 C0 00 02 07 00 00", nil),
        ("00 00 00 03 01 0A 00 35", nil), ("00 00 00 03 02 C3 28 00 35", nil), ("00 00 00 03 00 00 35", nil),
    ]

    private func bytes(_ text: String) -> [UInt8] { text.split(separator: " ").compactMap { UInt8($0, radix: 16) } }

    @Test("A header names the destination, and what is malformed is no header", arguments: headers)
    func header(_ row: (header: String, destination: String?)) {
        for payload in [[], [UInt8](repeating: 7, count: 1_200)] {
            var datagram = ByteBuffer(bytes: bytes(row.header) + payload)
            let taken = SocksDatagram.takeHeader(&datagram)
            #expect(taken?.destination.description == row.destination)
            guard let taken else { continue }
            #expect(Array(datagram.readableBytesView) == payload)
            #expect(Array(taken.header.readableBytesView) == bytes(row.header))
        }
    }

    @Test("A header that is cut short is none, and its datagram stays as it is", arguments: headers)
    func cutShort(_ row: (header: String, destination: String?)) {
        let header = bytes(row.header)
        for length in 0..<header.count {
            var datagram = ByteBuffer(bytes: header.prefix(length))
            #expect(SocksDatagram.takeHeader(&datagram) == nil && datagram.readableBytes == length)
        }
    }
}
