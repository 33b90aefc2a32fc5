import ACME

/// What handshakes and requests for challenges need: certificates by name, and the answers of the order in progress.
///
/// All of it is in memory, and bounded: names by the schedule, answers by the table.
struct CertificateTable: Sendable {
    /// Answers at a time. One order has one, or a few after each other.
    static let mostAnswers = 8

    /// The answer of an order in progress, as a certificate if it is one.
    struct Answer: Sendable {
        let answer: ChallengeAnswer
        let certificate: NameCertificate?
    }

    private var certificates: [CertificateName: NameCertificate] = [:]
    private var answers: [Answer] = []

    /// The certificate of a name.
    func certificate(for name: CertificateName) -> NameCertificate? { certificates[name] }

    /// Shows a certificate for a name from now on; nil for none.
    mutating func set(_ certificate: NameCertificate?, for name: CertificateName) { certificates[name] = certificate }

    /// What the CA wants to see for a token.
    func keyAuthorization(for token: String) -> String? {
        answers.first { $0.answer.kind == .http01 && $0.answer.token == token }?.answer.keyAuthorization
    }

    /// What the CA wants to see in a handshake for a name.
    func challengeCertificate(for name: CertificateName) -> NameCertificate? {
        answers.last { $0.answer.kind == .tlsALPN01 && $0.answer.name == name }?.certificate
    }

    /// Shows an answer. The oldest one gives way if there are too many.
    mutating func present(_ answer: Answer) {
        if answers.count >= Self.mostAnswers { answers.removeFirst() }
        answers.append(answer)
    }

    /// Shows none for a name any more: its order has ended.
    mutating func withdraw(_ name: CertificateName) { answers.removeAll { $0.answer.name == name } }
}
