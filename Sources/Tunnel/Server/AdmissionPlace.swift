import NIOCore

/// A place among the connections that have not authenticated, given back once.
final class AdmissionPlace {
    private(set) var address: String?
    private let admission: Admission
    private var isTaken = true
    /// Ends the connection unless the place was given back in time.
    private let deadline: Scheduled<Void>

    init(_ admission: Admission, address: String?, deadline: Scheduled<Void>) {
        self.admission = admission
        self.address = address
        self.deadline = deadline
    }

    /// Charges the place to the address that a front has named; false where that one has its share already.
    func charge(to address: String) -> Bool {
        guard isTaken, self.address == nil, admission.charge(address) else { return false }
        self.address = address
        return true
    }

    func giveBack() {
        guard isTaken else { return }
        isTaken = false
        deadline.cancel()
        admission.leave(address)
    }
}
