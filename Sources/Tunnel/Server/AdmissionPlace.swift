import NIOCore

/// A place among the connections that have not authenticated, given back once.
final class AdmissionPlace {
    let address: String?
    private let admission: Admission
    private var isTaken = true
    /// Ends the connection unless the place was given back in time.
    private let deadline: Scheduled<Void>

    init(_ admission: Admission, address: String?, deadline: Scheduled<Void>) {
        self.admission = admission
        self.address = address
        self.deadline = deadline
    }

    func giveBack() {
        guard isTaken else { return }
        isTaken = false
        deadline.cancel()
        admission.leave(address)
    }
}
