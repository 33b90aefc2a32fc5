import NIOCore

/// A source of connections that become streams: a public port of a tunnel.
package protocol Ingress: AnyObject {
    /// The tunnel whose visitors come here.
    var tunnel: UInt16 { get }
    /// The bound addresses, separated by spaces, for the client and the log.
    var addresses: String { get }
    /// Whether connections are accepted, or wait in the kernel's queue.
    var isAccepting: Bool { get set }
    /// Gives the addresses up; done when the kernel has.
    func close(on loop: any EventLoop) -> EventLoopFuture<Void>
}

extension TCPIngress: Ingress {}
