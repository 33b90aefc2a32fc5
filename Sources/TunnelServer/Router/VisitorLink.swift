import NIOCore

/// One end of a visitor's stream as the other end's event loop sees it.
///
/// The visitor's connection and the session may live on different event loops. On one loop a message is a call; between
/// two it is a task of the other loop. Messages of one end arrive in their order.
struct FarEnd<End: AnyObject>: Sendable {
    private let box: NIOLoopBoundBox<End?>
    private let isHere: Bool

    /// - Parameters:
    ///   - loop: the event loop of the end.
    ///   - here: the event loop from which messages come.
    init(on loop: any EventLoop, from here: any EventLoop) {
        box = .makeEmptyBox(valueType: End.self, eventLoop: loop)
        isHere = loop === here
    }

    /// The end exists. To be called on its event loop.
    func set(_ end: End) { box.value = end }

    /// The end is gone: further messages are dropped. To be called on its event loop.
    func clear() { box.value = nil }

    /// Sends a message.
    func send(_ message: @escaping @Sendable (End) -> Void) {
        if isHere { return deliver(message) }
        box.eventLoop.execute { deliver(message) }
    }

    private func deliver(_ message: (End) -> Void) {
        if let end = box.value { message(end) }
    }
}

/// The two ends of a visitor's stream.
struct VisitorLink: Sendable {
    /// Distinguishes the streams of a session.
    let id: ID
    /// The visitor's side, as the session sees it.
    let visitor: FarEnd<VisitorStream>
    /// The session's side, as the visitor sees it.
    let session: FarEnd<RoutedStream>

    /// The identity of a link.
    final class ID: Sendable, Hashable {
        static func == (left: ID, right: ID) -> Bool { left === right }

        func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
    }

    init(visitorLoop: any EventLoop, sessionLoop: any EventLoop) {
        id = ID()
        visitor = FarEnd(on: visitorLoop, from: sessionLoop)
        session = FarEnd(on: sessionLoop, from: visitorLoop)
    }
}
