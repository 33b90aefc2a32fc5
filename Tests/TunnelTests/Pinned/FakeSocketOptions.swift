import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The options that decide between FIN and RST, and the kernel's state of the connection.
extension FakeSocket: SocketOptionProvider {
    func unsafeSetSocketOption<Value: Sendable>(
        level: NIOBSDSocket.OptionLevel,
        name: NIOBSDSocket.Option,
        value: Value
    ) -> EventLoopFuture<Void> {
        if name == .so_linger, let value = value as? linger {
            resetsOnClose = value.l_onoff != 0 && value.l_linger == 0
        }
        return eventLoop.makeSucceededVoidFuture()
    }

    /// The kernel's `struct tcp_info` of an established connection, with its unacknowledged bytes.
    func unsafeGetSocketOption<Value: Sendable>(
        level: NIOBSDSocket.OptionLevel,
        name: NIOBSDSocket.Option
    ) -> EventLoopFuture<Value> {
        let (size, alignment) = (MemoryLayout<Value>.size, MemoryLayout<Value>.alignment)
        guard level == .tcp, size >= 28 else { return eventLoop.makeFailedFuture(ChannelError.operationUnsupported) }
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: alignment)
        defer { bytes.deallocate() }
        bytes.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        bytes.storeBytes(of: farSideIsGone ? 7 : 1, as: UInt8.self)
        bytes.storeBytes(of: unacknowledged, toByteOffset: 24, as: UInt32.self)
        return eventLoop.makeSucceededFuture(bytes.load(as: Value.self))
    }

    // NIO's protocol also requires these two methods, for older callers.

    func unsafeSetSocketOption<Value: Sendable>(
        level: SocketOptionLevel,
        name: SocketOptionName,
        value: Value
    ) -> EventLoopFuture<Void> {
        eventLoop.makeFailedFuture(ChannelError.operationUnsupported)
    }

    func unsafeGetSocketOption<Value: Sendable>(
        level: SocketOptionLevel,
        name: SocketOptionName
    ) -> EventLoopFuture<Value> {
        eventLoop.makeFailedFuture(ChannelError.operationUnsupported)
    }
}
