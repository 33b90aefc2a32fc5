/// The limits of everything that is done with a CA. Each is a row of the table of limits.
public enum ACMELimits {
    // MARK: Answers

    /// Bytes of an answer in JSON.
    package static let answer = 65_536
    /// Bytes of a certificate with its chain.
    package static let chain = 1_048_576
    /// Certificates of a chain.
    package static let certificates = 10
    /// Bytes of a nonce.
    package static let nonce = 512
    /// Bytes of a challenge's token.
    package static let token = 256
    /// Authorizations of an order, which asks for one name.
    package static let authorizations = 4

    // MARK: One order

    /// Requests for one order, repetitions included.
    package static let requests = 100
    /// Seconds that one order may wait for the CA in total.
    package static let orderWait = 180
    /// Seconds between two questions without a wish of the CA, at most.
    package static let longestPoll = 15
    /// Repetitions of a request whose nonce was refused.
    package static let nonceAttempts = 5
    /// Repetitions of a request after an error of the server or of the network.
    package static let attempts = 3

    // MARK: All orders

    /// Names for which certificates are kept.
    package static let names = 1_000
    /// Orders in an hour, over all names. Let's Encrypt accepts 300 in three hours.
    package static let ordersPerHour = 20
    /// Orders in an hour for the names of one client.
    package static let ordersPerOwner = 5
    /// Seconds of the time over which orders are counted.
    package static let orderPeriod: Int64 = 3_600
    /// Seconds after a first failure that is not about the name.
    package static let firstDelay: Int64 = 60
    /// Seconds after a first failed validation. Let's Encrypt accepts five in an hour for a name; doubling makes four.
    package static let firstValidationDelay: Int64 = 300
    /// Seconds after any failure, at most.
    package static let longestDelay: Int64 = 86_400
    /// Seconds for which a CA's rate limit is obeyed if it names no time.
    package static let limitedDelay: Int64 = 3_600
    /// Seconds for which a rate limit that two domains have met stops all orders, at most.
    package static let commonPause: Int64 = 3_600

    // MARK: Renewal

    /// Seconds between a certificate and its renewal, at least.
    package static let leastRenewal: Int64 = 3_600
    /// Seconds between two questions for the time of renewal, at least.
    package static let leastRenewalCheck: Int64 = 3_600
    /// Seconds between two questions for the time of renewal, at most.
    package static let greatestRenewalCheck: Int64 = 86_400
    /// Seconds between two questions if the CA names no time.
    package static let renewalCheck: Int64 = 21_600
    /// Seconds of the longest window that a CA may suggest.
    package static let longestWindow: Int64 = 400 * 86_400
}
