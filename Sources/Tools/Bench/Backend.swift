import Foundation

/// The service behind the tunnel, which serves requests of visitors.
///
/// One thread serves all echoes, with epoll. Each bulk stream has a blocking thread of its own.
final class Backend {
    private static let listenerToken = 0
    private static let backlog: Int32 = 4_096

    /// The port on which it listens.
    let port: UInt16
    private let listener: Connection
    private let poller = Poller()
    private var guests: [Int: EchoedConnection] = [:]
    private var echoed = 0
    private var nextToken = 1
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 64)

    /// Listens on a free port of loopback.
    init?() {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_INET, type, 0)
        guard descriptor >= 0, withLoopback(0, { bind(descriptor, $0, $1) }) == 0,
            listen(descriptor, Self.backlog) == 0
        else { return nil }
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        port = UInt16(bigEndian: name.sin_port)
        listener = Connection(descriptor: descriptor)
        poller.add(listener, Self.listenerToken, .receiving)
    }

    /// Serves as long as the parent process lives.
    func run() {
        let parent = getppid()
        while getppid() == parent {
            poller.wait(milliseconds: 1_000) { token in
                if token == Self.listenerToken { accept() } else { serve(token) }
            }
        }
    }

    private func accept() {
        while let connection = Connection.accepted(by: listener) {
            guests[nextToken] = EchoedConnection(connection)
            poller.add(connection, nextToken, .receiving)
            nextToken += 1
        }
    }

    private func serve(_ token: Int) {
        guard let guest = guests[token] else { return }
        switch guest.turn(buffer) {
        case .receiving: poller.change(guest.connection, token, .receiving)
        case .sending: poller.change(guest.connection, token, .sending)
        case .unchanged: break
        case .begins: echoed += 1
        case .over:
            if guest.isEchoed { echoed -= 1 }
            guests[token] = nil
            guest.connection.close()
        case .ordered(let order):
            poller.remove(guest.connection)
            guests[token] = nil
            guest.connection.block()
            Self.start(order, on: guest.connection, echoed: echoed)
        }
    }

    private static func start(_ order: WorkloadRequest, on connection: Connection, echoed: Int) {
        Thread.detachNewThread {
            switch order.kind {
            case .download:
                _ = PatternSender(connection: connection, stream: order.stream).run(
                    seconds: Double(order.milliseconds) / 1_000,
                    bytesPerSecond: order.kilobytesPerSecond * 1_000
                )
                // The visitor closes first, so that bytes that it has not read are not reset.
                var byte: UInt8 = 0
                _ = connection.receive(&byte, 1)
            case .upload:
                let (bytes, verdict) = PatternReceiver(connection: connection, stream: order.stream).run()
                _ = connection.sendNumber(verdict == .complete ? bytes : 0)
            case .census: _ = connection.sendNumber(echoed)
            case .echo: break
            }
            connection.close()
        }
    }
}
