import CEpoll
import Glibc

/// Waits for many connections on one thread, with epoll.
final class Poller {
    /// An event of a connection.
    enum Interest {
        case receiving
        case sending
        case both

        fileprivate var flags: UInt32 {
            switch self {
            case .receiving: EPOLLIN.rawValue
            case .sending: EPOLLOUT.rawValue
            case .both: EPOLLIN.rawValue | EPOLLOUT.rawValue
            }
        }
    }

    private let descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
    private var events = [epoll_event](repeating: epoll_event(), count: 512)

    deinit { close(descriptor) }

    /// Adds a connection.
    ///
    /// - Parameter token: the name of the connection in ``wait(milliseconds:_:)``.
    func add(_ connection: Connection, _ token: Int, _ interest: Interest) {
        control(EPOLL_CTL_ADD, connection, token, interest)
    }

    /// Changes the event of a connection.
    func change(_ connection: Connection, _ token: Int, _ interest: Interest) {
        control(EPOLL_CTL_MOD, connection, token, interest)
    }

    /// Removes a connection.
    func remove(_ connection: Connection) {
        control(EPOLL_CTL_DEL, connection, 0, .receiving)
    }

    private func control(_ operation: Int32, _ connection: Connection, _ token: Int, _ interest: Interest) {
        var event = epoll_event()
        event.events = interest.flags
        event.data.u64 = UInt64(token)
        epoll_ctl(descriptor, operation, connection.descriptor, &event)
    }

    /// Waits for events, and calls a closure for each.
    func wait(milliseconds: Int32, _ ready: (_ token: Int) -> Void) {
        let count = epoll_wait(descriptor, &events, Int32(events.count), milliseconds)
        for index in 0..<max(0, Int(count)) { ready(Int(events[index].data.u64)) }
    }
}
