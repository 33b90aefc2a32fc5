import Foundation

/// The service behind the tunnel.
///
/// One thread serves all echoes, with epoll. Each bulk stream has its own blocking thread.
final class Backend {
    private static let listenerToken = 0
    private static let backlog: Int32 = 4_096

    /// The port on which it listens.
    let port: UInt16
    private let listener: Connection
    private let poller = Poller()
    private var visitors: [Int: EchoedConnection] = [:]
    private var echoCount = 0
    private var nextToken = 1
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 64)

    /// Listens on a free port.
    ///
    /// - Parameter address: the address of the port, by default loopback.
    init?(_ address: String = loopback) {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_INET, type, 0)
        guard descriptor >= 0, withAddress(address, 0, { bind(descriptor, $0, $1) }) == 0,
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

    /// Serves until the parent process ends.
    func run() {
        let parent = getppid()
        Thread.detachNewThread { [port] in
            if !DatagramConnection.echo(at: port) { exit(1) }
        }
        while getppid() == parent {
            poller.wait(milliseconds: 1_000) { token in
                if token == Self.listenerToken { accept() } else { serve(token) }
            }
        }
    }

    private func accept() {
        while let connection = Connection.accepted(by: listener) {
            visitors[nextToken] = EchoedConnection(connection)
            poller.add(connection, nextToken, .receiving)
            nextToken += 1
        }
    }

    private func serve(_ token: Int) {
        guard let visitor = visitors[token] else { return }
        switch visitor.advance(buffer) {
        case .receiving: poller.change(visitor.connection, token, .receiving)
        case .sending: poller.change(visitor.connection, token, .sending)
        case .unchanged: break
        case .startsEcho: echoCount += 1
        case .ended:
            if visitor.isEchoed { echoCount -= 1 }
            visitors[token] = nil
            visitor.connection.close()
        case .requested(let request):
            poller.remove(visitor.connection)
            visitors[token] = nil
            visitor.connection.block()
            Self.start(request, on: visitor.connection, echoCount: echoCount)
        }
    }

    private static func start(_ request: WorkloadRequest, on connection: Connection, echoCount: Int) {
        Thread.detachNewThread {
            switch request.kind {
            case .download:
                _ = PatternSender(connection: connection, stream: request.stream).run(
                    seconds: Double(request.milliseconds) / 1_000,
                    bytesPerSecond: request.kilobytesPerSecond * 1_000
                )
                // Waits for the visitor's close, because closing first could discard bytes that the visitor has not
                // read.
                var byte: UInt8 = 0
                _ = connection.receive(&byte, 1)
            case .upload:
                let (bytes, verdict) = PatternReceiver(connection: connection, stream: request.stream).run()
                _ = connection.sendNumber(verdict == .complete ? bytes : 0)
            case .timedUpload:
                let seconds = Double(request.milliseconds) / 1_000
                let (bytes, verdict) = PatternReceiver(connection: connection, stream: request.stream)
                    .run(until: Clock.seconds + seconds)
                _ = connection.sendNumber(verdict == .complete ? bytes : 0)
                // A close with unread bytes would be a reset, which could overtake the number.
                connection.discardRest()
            case .connectionCount: _ = connection.sendNumber(echoCount)
            case .echo: break
            }
            connection.close()
        }
    }
}
