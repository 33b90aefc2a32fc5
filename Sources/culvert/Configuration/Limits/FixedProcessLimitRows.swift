import HTTP1
import Tunnel

/// Bounds of the executable without a key.
extension FixedLimit {
    static let proxyScripts: [FixedLimit] = [
        FixedLimit(
            "Time of a proxy script",
            .time(ProxyScriptProcess.maximumTime),
            "a script looks names up, and a dial waits for it"
        ),
        FixedLimit(
            "Processor time of a proxy script",
            .time(.seconds(EvaluateCommand.processorSeconds)),
            "the kernel ends a script that outlives its parent"
        ),
        FixedLimit(
            "Life of a proxy script's process",
            .time(.seconds(EvaluateCommand.lifeSeconds)),
            "an alarm ends a script that sleeps after its parent is gone"
        ),
        FixedLimit(
            "Address space of a proxy script",
            .bytes(EvaluateCommand.addressSpace),
            "the engine needs a small part of it, and a script could otherwise fill the machine's memory"
        ),
        FixedLimit(
            "Answer of a proxy script",
            .bytes(ProxyScriptProcess.maximumAnswer),
            "an answer has a few proxies of some dozen bytes"
        ),
        FixedLimit(
            "Error text of a proxy script's engine",
            .bytes(ProxyScriptProcess.maximumErrorText),
            "an error quotes a line of it"
        ),
    ]

    static let carrierAges: [FixedLimit] = [
        FixedLimit(
            "Least `max_carrier_age`",
            .time(ClientOptions.carrierAges.lowerBound),
            "below it the client would only dial"
        ),
        FixedLimit(
            "Greatest `max_carrier_age`",
            .time(ClientOptions.carrierAges.upperBound),
            "above it the age has no effect in practice"
        ),
    ]

    static let operatorCommands: [FixedLimit] = [
        FixedLimit(
            "Time that a command waits for the admin server",
            .time(AdminClient.timeout),
            "the admin server answers within `admin_timeout`"
        ),
        FixedLimit(
            "Answer that a command reads from the admin server",
            .bytes(AdminClient.maximumBody),
            "the status of a thousand sessions with a hundred visitors each must fit"
        ),
        FixedLimit(
            "Connections to `culvert dashboard`",
            .count(DashboardCommand.limits.connections),
            "a browser has six to one host"
        ),
        FixedLimit(
            "Time for a request to `culvert dashboard`, and again for its answer",
            .time(DashboardCommand.limits.timeout),
            "the answer waits for that of the admin server"
        ),
        FixedLimit(
            "Document of `culvert dashboard`",
            .bytes(DashboardPage.maximumBytes),
            "it comes at once over a slow ssh"
        ),
        FixedLimit(
            "Secret of the address of `culvert dashboard`",
            .bytes(DashboardAccess.secretBytes),
            "128 bits cannot be guessed"
        ),
        FixedLimit(
            "Visitors on the page of `culvert status`",
            .count(StatusPage.maximumVisitors),
            "a terminal shows as many"
        ),
        FixedLimit(
            "Clients that are gone on that page",
            .count(StatusPage.maximumGone),
            "the latest matter, and `--json` has all"
        ),
        FixedLimit(
            "Servers of a cluster on that page",
            .count(StatusPage.maximumServers),
            "clusters have fewer, and `--json` has all"
        ),
        FixedLimit(
            "Clients on the page of `culvert status --cluster`",
            .count(ClusterPage.maximumClients),
            "a pager shows as many, and `--json` has all"
        ),
        FixedLimit(
            "Series of one metric",
            .count(PrometheusRegistry.maximumSeries),
            "a label with more values is a mistake and would cost memory for ever"
        ),
        FixedLimit(
            "Names of metrics",
            .count(PrometheusRegistry.maximumFamilies),
            "the program has fewer"
        ),
        FixedLimit(
            "Characters of a label's value",
            .count(MetricText.longestValue),
            "labels are names, and scrapers keep each of them"
        ),
    ]

    static let output: [FixedLimit] = [
        FixedLimit(
            "Log that waits for standard error",
            .bytes(LogWriter.maximumWaiting),
            "a slow disk or reader needs some thousand lines, and further ones are lost and counted"
        ),
        FixedLimit(
            "Facts that wait for standard output",
            .bytes(LogWriter.maximumFacts),
            "some hundred lines fit, and further ones are lost and counted in the log"
        ),
        FixedLimit(
            "Time for the last lines at the end of the process",
            .time(LogWriter.flushTimeout),
            "a descriptor that takes nothing must not keep the process"
        ),
        FixedLimit(
            "Characters of one value in a line",
            .count(LogLine.longestValue),
            "a peer chooses some of the values"
        ),
    ]

    static let files: [FixedLimit] = [
        FixedLimit(
            "Certificate or key file",
            .bytes(TLSFiles.maximumLength),
            "no bundle is longer, and a wrong path must not fill the memory"
        ),
        FixedLimit(
            "Configuration file",
            .bytes(ConfigurationFile.maximumLength),
            "no configuration is longer"
        ),
        FixedLimit(
            "Arrays and tables of a configuration within each other",
            .count(TOMLLines.maximumDepth),
            "the TOML library refuses more"
        ),
        FixedLimit(
            "Mistakes in a configuration's syntax that one run reports",
            .count(TOMLDocument.maximumErrors),
            "further ones usually follow from those"
        ),
        FixedLimit("Secret file", .bytes(SecretFile.maximumLength), "a longer file holds no secret"),
        FixedLimit("netrc file", .bytes(SecretFile.maximumNetrc), "it has room for more entries than a person keeps"),
        FixedLimit(
            "File of `instance`",
            .bytes(InstanceFile.longestFile),
            "it holds one value and its line end"
        ),
        FixedLimit(
            "Characters of `instance`",
            .count(ClientInstance.lengths.upperBound),
            "a random value needs a tenth of it"
        ),
        FixedLimit(
            "Time between two checks of watched files",
            .time(FileWatch.standardPeriod),
            "a renewed certificate may wait so long, and a check costs a few system calls"
        ),
    ]
}
