import NIOCore
import ProxyConnect

extension SocketAddress {
    /// The address by its bits, without text in between; nil for a unix socket.
    var ip: IPAddress? {
        switch self {
        case .v4(let socket): .v4(UInt32(bigEndian: socket.address.sin_addr.s_addr))
        case .v6(let socket): withUnsafeBytes(of: socket.address.sin6_addr) { IPAddress(bytes: $0) }
        case .unixDomainSocket: nil
        }
    }

    /// `203.0.113.9:40001`, `[2001:db8::1]:40001`, or the path of a unix socket.
    var inShort: String {
        if case .v4(let socket) = self {
            let address = socket.address
            return Self.text(UInt32(bigEndian: address.sin_addr.s_addr), UInt16(bigEndian: address.sin_port))
        }
        guard let ipAddress, let port else { return pathname ?? "unix" }
        return "[\(ipAddress)]:\(port)"
    }

    /// An IPv4 address, digit by digit, since most visitors have one: the system's function, and to look for a colon, took
    /// ten times as many instructions.
    private static func text(_ address: UInt32, _ port: UInt16) -> String {
        let longest = "255.255.255.255:65535".utf8.count
        return String(unsafeUninitializedCapacity: longest) { text in
            var count = 0
            for shift: UInt32 in [24, 16, 8, 0] {
                count = write(UInt16(truncatingIfNeeded: address >> shift & 0xFF), to: text, at: count)
                text[count] = shift > 0 ? UInt8(ascii: ".") : UInt8(ascii: ":")
                count += 1
            }
            return write(port, to: text, at: count)
        }
    }

    /// Writes a number in decimal; gives back the place behind it.
    private static func write(_ number: UInt16, to text: UnsafeMutableBufferPointer<UInt8>, at place: Int) -> Int {
        var (scale, place): (UInt16, Int) = (1, place)
        while number / scale >= 10 { scale *= 10 }
        while scale > 0 {
            text[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / scale % 10)
            scale /= 10
            place += 1
        }
        return place
    }
}
