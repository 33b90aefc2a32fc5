import Synchronization

/// The number of connections of one kind, on all event loops.
final class ConnectionSlots: Sendable {
    /// Divides the slots: one part of so many is the limit of one address.
    static let addressPart = 4

    private let taken = Mutex<(all: Int, byAddress: [String: Int])>((0, [:]))

    /// Takes a slot.
    ///
    /// - Parameter address: the address that the connection counts for; nil if none.
    /// - Returns: false if all slots are in use, or if the address has reached its share.
    func enter(_ address: String?, limit: Int) -> Bool {
        taken.withLock { taken in
            guard taken.all < limit else { return false }
            if let address {
                guard taken.byAddress[address, default: 0] < max(1, limit / Self.addressPart) else { return false }
                taken.byAddress[address, default: 0] += 1
            }
            taken.all += 1
            return true
        }
    }

    /// Whether all slots are in use.
    func isFull(limit: Int) -> Bool { taken.withLock { $0.all >= limit } }

    /// Frees the slot of a connection.
    func leave(_ address: String?) {
        taken.withLock { taken in
            taken.all -= 1
            guard let address, let count = taken.byAddress[address] else { return }
            taken.byAddress[address] = count > 1 ? count - 1 : nil
        }
    }
}

/// The slot of one connection, which is freed once: with the connection, or before if that becomes another kind.
final class VisitorSlot: Sendable {
    private let slots: ConnectionSlots
    private let address: String?
    private let isFree = Atomic(false)

    /// A slot that was taken for an address.
    init(_ slots: ConnectionSlots, _ address: String?) {
        (self.slots, self.address) = (slots, address)
    }

    /// Frees the slot.
    func leave() {
        if !isFree.exchange(true, ordering: .relaxed) { slots.leave(address) }
    }
}
