import NIOCore

/// The places of one connection that has not authenticated, each given back once.
final class AdmissionSlot {
    /// The address that bears its costs; nil if none does.
    private(set) var address: String?
    private let admission: Admission
    private var place: Admission.Place?
    private let close: @Sendable () -> Void
    /// Ends the connection unless it has proved itself in time.
    private let deadline: Scheduled<Void>

    /// - Parameter place: where it waits for its head.
    init(
        _ admission: Admission,
        _ place: Admission.Place,
        address: String?,
        deadline: Scheduled<Void>,
        close: @escaping @Sendable () -> Void
    ) {
        self.admission = admission
        self.place = place
        self.address = address
        self.deadline = deadline
        self.close = close
    }

    /// A front has named the address that bears the costs.
    func comes(from address: String) {
        self.address = address
    }

    /// The head has come, and wants a session: takes a place among those that prove themselves.
    ///
    /// - Parameter ticket: the tag of a client that the server knows.
    /// - Returns: false if there is none. The connection keeps the place that it has until it is gone.
    func enter(ticket: String?) -> Bool {
        guard let next = admission.enter(address, ticket: ticket, close: close) else { return false }
        leave()
        place = next
        return true
    }

    /// The connection has sent something of what is expected of it.
    func speaks() {
        if let place { admission.speaks(place) }
    }

    /// The connection is not a stranger's any more, or is gone.
    func giveBack() {
        deadline.cancel()
        leave()
    }

    private func leave() {
        if let place { admission.leave(place) }
        place = nil
    }
}
