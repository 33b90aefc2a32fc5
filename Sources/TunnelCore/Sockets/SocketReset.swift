import NIOCore

/// Closes sockets by a reset (RST).
package enum SocketReset {
    /// The waits between two looks at what the kernel has to send: they double from the first to the last.
    package static let waits: (first: TimeAmount, longest: TimeAmount) = (.milliseconds(5), .milliseconds(320))

    /// Closes a socket by a reset once the kernel has sent what it was given and the other side has acknowledged it. A
    /// reset throws away what the kernel still holds.
    ///
    /// - Parameter limit: how long the other side may take.
    package static func afterSending(_ channel: any Channel, within limit: TimeAmount) {
        // Also if the process ends before: what is cut off must not look complete.
        SocketOptions.resetOnClose(channel)
        look(channel, wait: waits.first, deadline: .now() + limit)
    }

    private static func look(_ channel: any Channel, wait: TimeAmount, deadline: NIODeadline) {
        guard channel.isActive else { return }
        guard let state = TCPState(channel), state.isSending, NIODeadline.now() < deadline else {
            return channel.close(promise: nil)
        }
        channel.eventLoop.assumeIsolated().scheduleTask(in: wait) {
            look(channel, wait: min(wait * 2, waits.longest), deadline: deadline)
        }
    }
}
