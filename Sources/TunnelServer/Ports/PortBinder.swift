import Logging
import NIOCore
import TunnelCore

/// A public port that is bound on one or more addresses.
protocol PortListener: AnyObject {
    /// The client's number for the tunnel.
    var tunnel: UInt16 { get }
    /// The port, which is the same on all addresses.
    var port: UInt16 { get }
    /// The addresses that are bound, separated by spaces.
    var addresses: String { get }
    /// The addresses that the tunnel asked for.
    var requestedAddresses: Set<String> { get }
    /// Whether connections are accepted. Otherwise they wait in the kernel's listen queue.
    var isAccepting: Bool { get set }
    /// Closes the sockets.
    ///
    /// - Returns: done once the kernel has released the port.
    func close(on loop: any EventLoop) -> EventLoopFuture<Void>
}

/// A port that is to be bound.
struct PortToBind {
    let tunnel: UInt16
    let addresses: [String]
    let port: UInt16
}

/// Binds public ports. Tests bind none and complete the bind by hand.
protocol PortBinder {
    /// Binds a port on all of its addresses, or on none.
    ///
    /// - Parameters:
    ///   - onVisitor: receives each accepted connection before its first event.
    ///   - completion: called once, on the event loop; the error is a `TCPIngress.Failure`.
    func bind(
        _ port: PortToBind,
        _ limits: IngressLimits,
        on loop: any EventLoop,
        logger: Logger,
        onVisitor: @escaping (any Channel) throws -> Void,
        completion: @escaping (Result<any PortListener, any Error>) -> Void
    )
}

/// Binds TCP ports of this machine.
struct TCPPortBinder: PortBinder {
    func bind(
        _ port: PortToBind,
        _ limits: IngressLimits,
        on loop: any EventLoop,
        logger: Logger,
        onVisitor: @escaping (any Channel) throws -> Void,
        completion: @escaping (Result<any PortListener, any Error>) -> Void
    ) {
        TCPIngress.bind(
            tunnel: port.tunnel,
            addresses: port.addresses,
            port: port.port,
            limits: limits,
            loop: loop,
            logger: logger,
            onVisitor: onVisitor
        ).assumeIsolated().whenComplete { result in completion(result.map { $0 }) }
    }
}

extension TCPIngress: PortListener {}
