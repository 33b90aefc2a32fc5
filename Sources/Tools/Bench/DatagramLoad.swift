import ArgumentParser
import Glibc

/// One program that sends datagrams and waits for their echoes, with several in flight.
struct DatagramLoad: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "datagrams", shouldDisplay: false)

    /// The bytes of a datagram: what QUIC and WireGuard send on most paths.
    static let bytes = 1_200
    /// Datagrams in flight. Fewer than a flow of Culvert or the buffer of a socket holds, so that few are lost.
    private static let window = 32
    /// Microseconds without an echo after which those in flight are lost.
    private static let patience = 100_000

    @Option var port: UInt16
    @Option var seconds: Double

    func run() throws {
        var report = LoadReport()
        guard let socket = DatagramConnection(port: port, timeoutMicroseconds: Self.patience) else {
            report.broken = 1
            return try report.print()
        }
        defer { socket.close() }
        var times: [UInt32] = []
        times.reserveCapacity(1 << 20)
        var (sent, inFlight) = (0, 0)
        var departures = [Double](repeating: 0, count: 1 << 16)
        let began = Clock.seconds
        var last = began
        while last < began + seconds {
            while inFlight < Self.window {
                departures[sent % departures.count] = Clock.seconds
                guard socket.send(number: sent) else { break }
                sent += 1
                inFlight += 1
            }
            let number = socket.receiveNumber()
            last = Clock.seconds
            switch number {
            // The echoes of lost ones may still come.
            case nil: inFlight = 0
            case let number? where number >= 0 && number < sent:
                inFlight = max(0, inFlight - 1)
                report.operations += 1
                times.append(UInt32(min((last - departures[number % departures.count]) * 1e9, Double(UInt32.max))))
            default: report.wrong += 1
            }
        }
        report.seconds = last - began
        report.setPercentiles(of: times)
        try report.print()
    }
}

/// A UDP socket that sends to one port of loopback.
struct DatagramConnection {
    private let descriptor: Int32
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 64)

    /// Connects to a port; nil after a failure.
    init?(port: UInt16, timeoutMicroseconds: Int) {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0, withLoopback(port, { connect(descriptor, $0, $1) }) == 0 else { return nil }
        var time = timeval(tv_sec: 0, tv_usec: timeoutMicroseconds)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    /// Sends a datagram that begins with this number.
    func send(number: Int) -> Bool {
        buffer.storeBytes(of: UInt64(number), as: UInt64.self)
        return Glibc.send(descriptor, buffer.baseAddress, DatagramLoad.bytes, 0) == DatagramLoad.bytes
    }

    /// The number of the next datagram; -1 if it is not an echo, nil if none comes.
    func receiveNumber() -> Int? {
        let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        guard count >= 0 else { return nil }
        guard count == DatagramLoad.bytes else { return -1 }
        return Int(exactly: buffer.load(as: UInt64.self)) ?? -1
    }

    func close() {
        _ = Glibc.close(descriptor)
        buffer.deallocate()
    }

    /// Echoes all datagrams at a port of loopback, until the process ends.
    ///
    /// - Returns: false if the port cannot be bound.
    static func echo(at port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0, withLoopback(port, { bind(descriptor, $0, $1) }) == 0 else { return false }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            var sender = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutablePointer(to: &sender) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { sender in
                    let count = recvfrom(descriptor, &buffer, buffer.count, 0, sender, &length)
                    if count > 0 { sendto(descriptor, buffer, count, 0, sender, length) }
                }
            }
        }
    }
}
