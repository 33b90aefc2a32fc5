import NIOCore

/// The slot of one unauthenticated connection: first of the stage head, then of the stage proof. Freed once.
final class AdmissionSlot {
    /// The address that the connection counts for; nil if none.
    private(set) var address: String?
    private let admission: Admission
    private var slot: Admission.Slot?
    private let close: @Sendable () -> Void
    /// Closes the connection unless it is authenticated in time.
    private let deadline: Scheduled<Void>

    /// - Parameter slot: the slot of the stage head.
    init(
        _ admission: Admission,
        _ slot: Admission.Slot,
        address: String?,
        deadline: Scheduled<Void>,
        close: @escaping @Sendable () -> Void
    ) {
        self.admission = admission
        self.slot = slot
        self.address = address
        self.deadline = deadline
        self.close = close
    }

    /// Sets the address that a front has named.
    func setAddress(_ address: String) {
        self.address = address
    }

    /// Moves to the stage proof, once the head of a request for a session has arrived.
    ///
    /// - Parameter ticket: the tag of a client that the server knows.
    /// - Returns: false if no slot is free. The connection then keeps its present slot until it is gone.
    func enter(ticket: String?) -> Bool {
        guard let next = admission.enter(address, ticket: ticket, close: close) else { return false }
        leave()
        slot = next
        return true
    }

    /// Notes that the connection has sent part of its request or proof.
    func noteBytes() {
        if let slot { admission.noteBytes(slot) }
    }

    /// Frees the slot: the connection is authenticated, forwarded, or gone.
    func free() {
        deadline.cancel()
        leave()
    }

    private func leave() {
        if let slot { admission.leave(slot) }
        slot = nil
    }
}
