import ACME
import NIOCore
import TunnelCore

/// Fixed limits of certificates by ACME.
extension FixedLimit {
    package static let acme: [FixedLimit] = [
        FixedLimit(
            "Names with certificates",
            .count(ACMELimits.names),
            "each costs orders and a file, and clients choose some of the names"
        ),
        FixedLimit(
            "Orders at the CA in an hour",
            .count(ACMELimits.ordersPerHour),
            "Let's Encrypt accepts 100 an hour from one account"
        ),
        FixedLimit(
            "Orders at the CA in an hour, for the names of one client",
            .count(ACMELimits.ordersPerOwner),
            "a client with many names does not keep the others out"
        ),
        FixedLimit(
            "Time after a failed order, doubled by each further one",
            .time(.seconds(ACMELimits.firstDelay)),
            "most errors pass, or are corrected soon"
        ),
        FixedLimit(
            "Time after a name could not be validated, doubled by each further failure",
            .time(.seconds(ACMELimits.firstValidationDelay)),
            "Let's Encrypt accepts five failures an hour for a name, and this makes four"
        ),
        FixedLimit(
            "Greatest time after a failed order",
            .time(.seconds(ACMELimits.longestDelay)),
            "a name that is corrected has its certificate the next day"
        ),
        FixedLimit(
            "Time after a rate limit of the CA that names no time",
            .time(.seconds(ACMELimits.limitedDelay)),
            "the usual limits of CAs let some orders through in an hour"
        ),
        FixedLimit(
            "Time in which all orders pause, at most, while the CA fails or limits several domains",
            .time(.seconds(ACMELimits.commonPause)),
            "one domain's limit must not keep the others without certificates for long"
        ),
        FixedLimit(
            "Time between two orders for one name, if both succeed",
            .time(.seconds(ACMELimits.leastRenewal)),
            "a wrong clock must not lead to a row of orders"
        ),
        FixedLimit(
            "Least time between two questions for the time of renewal",
            .time(.seconds(ACMELimits.leastRenewalCheck)),
            "a time of renewal moves seldom"
        ),
        FixedLimit(
            "Greatest time between two questions for the time of renewal",
            .time(.seconds(ACMELimits.greatestRenewalCheck)),
            "a CA that revokes certificates early moves their times a day before"
        ),
        FixedLimit(
            "Time between two questions for the time of renewal, if the CA names none",
            .time(.seconds(ACMELimits.renewalCheck)),
            "it is the time that Let's Encrypt names"
        ),
        FixedLimit(
            "Window of renewal",
            .time(.seconds(ACMELimits.longestWindow)),
            "no certificate of a public CA lives longer"
        ),
    ]

    package static let acmeOrders: [FixedLimit] = [
        FixedLimit(
            "Time that one order waits for the CA",
            .time(.seconds(ACMELimits.orderWait)),
            "orders are placed in turn, and CAs finish within seconds"
        ),
        FixedLimit("Requests of one order", .count(ACMELimits.requests), "an order needs some ten"),
        FixedLimit(
            "Time between two questions of an order",
            .time(.seconds(ACMELimits.longestPoll)),
            "it begins with a second and doubles"
        ),
        FixedLimit(
            "Repetitions of a request whose nonce was refused",
            .count(ACMELimits.nonceAttempts),
            "a CA of several machines may refuse a few"
        ),
        FixedLimit(
            "Repetitions of a request after an error of the CA or of the network",
            .count(ACMELimits.attempts),
            "a new order costs more than a repetition"
        ),
        FixedLimit(
            "Time for a request to the CA",
            .time(AuthorityClient.timeout),
            "a CA answers within seconds, and a new connection may need a few"
        ),
        FixedLimit("Answer of the CA", .bytes(ACMELimits.answer), "its objects have one or two KiB"),
        FixedLimit("Chain of a certificate", .bytes(ACMELimits.chain), "chains have some KiB"),
        FixedLimit(
            "Certificates of a chain",
            .count(ACMELimits.certificates),
            "chains have two to four"
        ),
        FixedLimit("URL of the CA", .bytes(ACMEURL.longest), "a URL is kept for each order and each certificate"),
        FixedLimit("Nonce of the CA", .bytes(ACMELimits.nonce), "nonces have some dozen bytes"),
        FixedLimit("Token of a challenge", .bytes(ACMELimits.token), "tokens have some dozen bytes"),
        FixedLimit(
            "Authorizations of an order",
            .count(ACMELimits.authorizations),
            "an order is for one name"
        ),
        FixedLimit(
            "Answers to challenges at a time",
            .count(CertificateTable.mostAnswers),
            "one order is in progress, with one challenge"
        ),
        FixedLimit(
            "File of a certificate or of the account",
            .bytes(CertificateStorage.longestFile),
            "a chain of the greatest length fits, with its key"
        ),
        FixedLimit(
            "Certificates in memory",
            .count(CertificateStorage.mostFiles),
            "half of them are for clients that may come back, and further ones are read from their files"
        ),
        FixedLimit(
            "Time after its end at which a certificate's file is removed",
            .time(.seconds(CertificateStorage.keptAfterEnd)),
            "a clock that is wrong for a while must remove nothing"
        ),
    ]
}
